"""What a run was asked to do: which arguments are refused, and before what."""

from pathlib import Path
from typing import Any

import pytest
from daena_kms.engine.request import MAX_WORKERS, checked_ids
from daena_kms.errors import ConfigError, InvalidKeyId, Paused
from daena_kms.stores.adapter import CloudKMSAdapter

from tests.unit.engine.engines import World, a_request


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A store with one key, and a log."""
    made = World(tmp_path)
    made.create("some-key")
    made.clear_log()
    return made


@pytest.fixture
def adapter(world: World) -> CloudKMSAdapter:
    """An adapter that nothing is asked of."""
    return world.adapter


def test_ids_are_named_once_in_their_order() -> None:
    """A single id may be a plain string; what is no id is refused."""
    assert checked_ids(None) is None
    assert checked_ids([]) == ()
    assert checked_ids("a-key") == ("a-key",)
    assert checked_ids(iter(["b", "a", "b"])) == ("b", "a")
    with pytest.raises(InvalidKeyId):
        checked_ids(["a-key", "A key"])


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({}, False),
        ({"key_ids": ()}, True),
        ({"key_ids": ("a",)}, True),
        ({"key_ids": ("a",), "if_due": True}, False),
        ({"if_due": True}, False),
    ],
)
def test_keys_are_rotated_because_somebody_named_them(
    adapter: CloudKMSAdapter, asked: dict[str, Any], *, named: bool
) -> None:
    """Due or not, unless only what is due was asked for."""
    assert a_request(adapter, **asked).named is named


@pytest.mark.parametrize("workers", [-1, 0, MAX_WORKERS + 1])
def test_workers_are_bounded(adapter: CloudKMSAdapter, workers: int) -> None:
    """From one to the most."""
    with pytest.raises(ConfigError, match="workers"):
        a_request(adapter, workers=workers).check()
    a_request(adapter, workers=1).check()
    a_request(adapter, workers=MAX_WORKERS).check()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reason": "it leaked"}, "names no key"),
        ({"keys": [], "reason": "it leaked"}, "names no key"),
        ({"keys": ["some-key"], "if_due": True, "reason": "it leaked"}, "names no key"),
        ({"keys": ["some-key"]}, "has no reason"),
        ({"keys": ["some-key"], "reason": " "}, "has no reason"),
        ({"dry_run": True}, "names no key"),
    ],
)
def test_an_emergency_names_keys_and_says_why(
    world: World, options: dict[str, Any], words: str
) -> None:
    """Else nothing is changed, and nothing written."""
    with pytest.raises(ConfigError, match=words):
        world.run(compromised=True, **options)
    assert (world.objects.stored, world.store.changes) == ({}, [])
    assert world.run(compromised=True, keys=["some-key"], dry_run=True).actions


def test_a_pause_stops_runs_and_no_plans(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the log is read or the store asked."""
    monkeypatch.setenv("DAENA_KMS_PAUSED", "true")
    with pytest.raises(Paused):
        world.run()
    assert (world.objects.stored, world.store.changes) == ({}, [])
    assert world.run(dry_run=True).actions
