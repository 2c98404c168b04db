"""What proves an unresolved action: an intent whose hash is the one that was named."""

from typing import Any

import pytest
from daena_kms.audit.bounds import BoundedLog, ReadBudget
from daena_kms.audit.intents import Intents
from daena_kms.audit.records import digest, object_name
from daena_kms.rules.durations import format_time

from tests.unit.logs import CONTEXT, Hands, action, write_run
from tests.worlds.memory import START, MemoryObjects


@pytest.mark.parametrize(
    ("change", "proves"),
    [
        ({}, True),
        ({"intent": "HASH"}, False),
        ({"intent": "NONE"}, False),
        ({"key": "other-key"}, False),
        ({"base": "v9"}, False),
        ({"kind": "retire"}, False),
        ({"compromised": True}, False),
        ({"provider": "elsewhere"}, False),
        ({"at": "2020-01-01T00:00:00Z"}, False),
        ({"at": None}, False),
    ],
    ids=range(10),
)
def test_an_intent_proves_only_what_names_it_by_its_hash(
    change: dict[str, Any], *, proves: bool
) -> None:
    """And only its own actions, of its own store and about its own time."""
    log = MemoryObjects()
    name = object_name(write_run(log, Hands(START), closing=False), 0)
    ref = f"{name}@{digest(log.get(name) or b'')}"
    refs = {"HASH": f"{name}@sha256:{'0' * 64}", "NONE": f"{name[:-6]}9.json@sha256:{'0' * 64}"}
    claimed = {**action(), "intent": ref, "at": format_time(START), "provider": CONTEXT.provider}
    claimed |= {n: refs.get(text, text) for n, text in change.items()}
    found = Intents(BoundedLog(log, ReadBudget())).proved(claimed)
    assert (found is not None) == proves
    if found is not None:
        assert (found["key"], found["intent"]) == ("some-key", ref)
