"""Random records beside an honest log: no run raises, rotates anything else, or reads too much."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from daena_kms.audit.bounds import MAX_BYTES, MAX_CALLS
from daena_kms.audit.folders import folder_at
from daena_kms.audit.records import digest
from daena_kms.audit.verify import verify
from daena_kms.engine import run
from daena_kms.rules.durations import format_time
from daena_kms.stores.adapter import CloudKMSAdapter
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.engines import DUE, HookedStore, World
from tests.worlds.memory import Counted

KEYS = ["one-key", "two-key"]
TIMES = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-03-01T12:00:00Z", "then")


class Honest:
    """A store whose two keys are due and its log, of which each example gets a copy."""

    def __init__(self, home: Path) -> None:
        self.home = home
        world = World(home)
        world.create(*KEYS)
        world.create("other-key", rotate_after="400d")
        world.run(timedelta(hours=1), keys=["other-key"])
        self.now = datetime.now(UTC) + DUE
        self.objects = world.objects.copy()
        self.names = sorted(self.objects.stored)
        self.versions = [v.id for key in world.store.inventory() for v in key.versions]
        world.store.close()

    @contextmanager
    def store(self) -> Iterator[HookedStore]:
        """Give a copy of the store."""
        with TemporaryDirectory() as home:
            shutil.copytree(self.home, home, dirs_exist_ok=True)
            copied = HookedStore(Path(home))
            yield copied
            copied.close()


@pytest.fixture(scope="module")
def honest() -> Iterator[Honest]:
    """Give one for all examples."""
    with TemporaryDirectory() as home:
        yield Honest(Path(home))


def junk(honest: Honest) -> st.SearchStrategy[list[tuple[str, bytes]]]:
    """Return objects: random JSON of right and wrong shapes, under right and wrong names."""
    hours = [folder_at(honest.now + timedelta(hours=n)) for n in (-30, -1, 0, 0, 0, 1, 48)]
    ids = st.integers(0, 3).map(lambda n: f"{n:032x}")
    seqs = st.sampled_from(["000000", "000001", "000007", "999998", "999999"])
    ours = st.sampled_from([name.rpartition("/")[0] for name in honest.names])
    runs = st.builds("{}{}".format, st.sampled_from(hours), ids) | ours
    names = st.builds("{}/{}.json".format, runs, seqs)
    odd_names = st.builds(
        "log/{}".format, st.sampled_from(["x", "9999/99/99/99/x", "2026/", "a/b"])
    )
    refs = st.builds("{}@{}".format, names, st.just(f"sha256:{'0' * 64}"))
    real = st.sampled_from([f"{n}@{digest(honest.objects.stored[n])}" for n in honest.names])
    times = st.sampled_from([*TIMES, format_time(honest.now), format_time(honest.now - DUE)])
    scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | times
    anything = st.recursive(
        scalars,
        lambda x: st.lists(x, max_size=2) | st.dictionaries(st.text(max_size=3), x, max_size=2),
    )
    versions = honest.versions
    entry = st.fixed_dictionaries(
        {
            "key": st.sampled_from([*KEYS, "no-key", "x" * 600, "\udfff"]),
            "kind": st.sampled_from(["rotate", "retire", "destroy", "delete", "hold", "x"]),
        },
        optional={
            "base": st.sampled_from([*versions, "b", ""]) | anything,
            "version": st.sampled_from([*versions, "v"]),
            "at": times,
            "result": st.sampled_from(["done", "unknown", "failed", "gone", "x"]),
            "new_version": st.sampled_from([*versions, "v"]),
            "versions": st.lists(st.sampled_from([*versions, "v"]), max_size=3),
            "intent": refs | real | anything,
            "of_run": runs.map("{}/".format),
            "provider": st.sampled_from(["local", "elsewhere"]),
            "manifest": st.just(f"manifests/000000000001.json@sha256:{'0' * 64}"),
            "compromised": st.sampled_from([False]),
        },
    )
    entries = st.lists(entry, max_size=3)
    hashes = st.lists(st.just(f"sha256:{'0' * 64}"), max_size=3)
    listings = st.dictionaries(runs.map("{}/".format), hashes, max_size=3)
    shapes: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "intent": {"actions": entries},
        "outcome": {"results": entries},
        "recovery": {"runs": listings, "results": entries},
        "closing": {
            "objects": hashes,
            "saw": st.dictionaries(names, st.just(f"sha256:{'0' * 64}"), max_size=3),
            "open": listings,
            "unresolved": entries,
            "counts": st.dictionaries(st.text(max_size=3), anything, max_size=2),
        },
    }

    @st.composite
    def objects(draw: st.DrawFn) -> tuple[str, bytes]:
        name = draw(names | odd_names)
        kind = draw(st.sampled_from([*shapes, "x"]))
        record = {
            "v": 1,
            "type": kind,
            "run": name.split("/")[-2],
            "seq": int(name[-11:-5]) if name[-11:-5].isdigit() else 0,
            "time": draw(times),
            "provider": "local",
            "trigger": "schedule",
            "principal": "someone",
            "reason": None,
            "prev_hash": draw(st.none() | st.just(f"sha256:{'0' * 64}")),
            **{member: draw(values) for member, values in shapes.get(kind, {}).items()},
        }
        odd = st.dictionaries(st.sampled_from(sorted(record)), anything, max_size=1)
        if draw(st.booleans()):
            record |= draw(odd)
        data = json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        return name, draw(st.just(data) | st.binary(max_size=20) | st.just(data[:-40]))

    return st.lists(objects(), max_size=8)


@settings(max_examples=40)
@given(data=st.data())
def test_junk_changes_nothing(honest: Honest, data: st.DataObject) -> None:
    """The two keys are rotated and no other, within the bounds; and verification never raises."""
    log = honest.objects.copy()
    for name, junked in data.draw(junk(honest)):
        log.stored.setdefault(name, junked)
    counted = Counted(log)
    with honest.store() as store:
        adapter = CloudKMSAdapter(store)
        summary = run(adapter, counted, now=honest.now)
        assert sorted([*summary.rotated, *summary.finished]) == KEYS
        assert sorted(store.changes) == [("rotate", key_id) for key_id in KEYS]
        assert counted.calls <= MAX_CALLS
        assert counted.size <= MAX_BYTES
        for when in (None, honest.now + timedelta(hours=1)):
            json.dumps(verify(log, store.inventory(), now=when).to_dict())
