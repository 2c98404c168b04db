"""A closing record kept elsewhere, and the versions in the store, held against the log."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.records import decode, digest, encode
from daena_kms.audit.verify import Finding, verify
from daena_kms.audit.writer import RunWriter
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects
from daena_kms.operations import Operations
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.names import base_mark_of, new_version_id

from tests.unit.logs import CONTEXT, Hands, action, done, edited, write_run
from tests.worlds.memory import START, MemoryObjects


@pytest.fixture
def clock() -> Hands:
    """A clock at START."""
    return Hands()


@pytest.fixture
def log(clock: Hands) -> MemoryObjects:
    """An empty log."""
    return MemoryObjects(clock)


def anchor(log: Objects, prefix: str) -> str:
    """Return a run's closing record as ``--since`` takes it."""
    name = f"{prefix}999999.json"
    return f"{name}@{digest(log.get(name) or b'')}"


def test_the_right_anchor(log: MemoryObjects, clock: Hands) -> None:
    """Each closing record of an untouched log is a good anchor, whatever came before or after."""
    prefixes = []
    for number in range(6):
        prefixes.append(write_run(log, clock))
        write_run(log, clock, closing=number != 3)
        clock.pass_(hours=1)
    for prefix in prefixes:
        assert verify(log, since=anchor(log, prefix)).problems == []


def test_an_anchor_of_another_hash(log: MemoryObjects, clock: Hands) -> None:
    """A closing record that is not the one that was kept is named."""
    prefix = write_run(log, clock)
    kept = anchor(log, prefix)
    name = f"{prefix}999999.json"
    log.stored[name] = edited(log.stored[name], counts={"rotated": 2})
    assert verify(log).ok
    assert {p.name for p in verify(log, since=kept).problems} == {name}


@pytest.mark.parametrize("later", [0, 1, 3])
def test_an_anchor_that_is_gone(log: MemoryObjects, clock: Hands, later: int) -> None:
    """The run of a kept closing record is missed, with later runs or without."""
    write_run(log, clock)
    clock.pass_(hours=2)
    prefix = write_run(log, clock)
    kept = anchor(log, prefix)
    for name in [name for name in log.stored if name.startswith(prefix)]:
        del log.stored[name]
    for _ in range(later):
        clock.pass_(hours=3)
        write_run(log, clock)
    assert {p.name for p in verify(log, since=kept).problems} == {f"{prefix}999999.json"}


def test_an_anchor_and_an_emptied_log(log: MemoryObjects, clock: Hands) -> None:
    """A log that is gone altogether is seen."""
    kept = anchor(log, write_run(log, clock))
    log.stored.clear()
    assert not verify(log, since=kept).ok


NAME = "log/2026/03/01/12/" + "0" * 32 + "/999999.json"


@pytest.mark.parametrize(
    "since",
    [
        "",
        "@",
        NAME,
        NAME + "@",
        NAME + "@md5:00",
        NAME.replace("999999", "000000") + "@sha256:00",
        "elsewhere/" + NAME + "@sha256:00",
        "x" * 10_000,
    ],
)
def test_what_is_no_anchor(log: MemoryObjects, since: str) -> None:
    """Anything but name@sha256:… of a closing record is refused, with the form."""
    with pytest.raises(ConfigError, match=r"is not a closing record.*name@sha256") as caught:
        verify(log, since=since)
    assert len(str(caught.value)) < 250


def test_an_interrupted_run_before_the_anchor(log: MemoryObjects, clock: Hands) -> None:
    """What was interrupted hours before the anchor, and known since, is no problem."""
    write_run(log, clock, closing=False)
    clock.pass_(hours=2)
    prefix = write_run(log, clock)
    clock.pass_(hours=2)
    write_run(log, clock)
    assert verify(log).ok
    assert verify(log, since=anchor(log, prefix)).problems == []


def a_key(*versions: Version) -> Key:
    """Return a key as a store lists it."""
    return Key("some-key", {}, versions)


def version(state: VersionState, base: str | None, at: datetime = START) -> Version:
    """Return a version of ours."""
    made = new_version_id(base, at)
    return Version(made, state, at, base_mark=base_mark_of(made))


def test_versions_are_confirmed_unconfirmed_or_out_of_band(
    log: MemoryObjects, clock: Hands
) -> None:
    """By a result, by an intent alone, or by neither; what never was current is not asked about."""
    confirmed = version(VersionState.PREVIOUS, "v0")
    crashed = version(VersionState.CURRENT, confirmed.id)
    foreign = Version("f" * 36, VersionState.PREVIOUS, START)
    strange = version(VersionState.RETIRED, "nobody-knows")
    never = [version(s, confirmed.id) for s in (VersionState.PENDING, VersionState.ABANDONED)]
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([action(base="v0")])
    writer.outcome([done(base="v0", new=confirmed.id)])
    writer.intent([action(base=confirmed.id), action("other-key", base="nobody-knows")])
    report = verify(log, [a_key(confirmed, crashed, foreign, strange, *never)])
    assert report.findings == [
        Finding("some-key", v.id, status)
        for v, status in (
            (confirmed, "confirmed"),
            (crashed, "unconfirmed"),
            (foreign, "out-of-band"),
            (strange, "out-of-band"),
        )
    ]
    assert not report.ok
    assert verify(log, [a_key(confirmed, crashed)]).ok


@pytest.mark.parametrize("result", ["failed", "skipped", "left", "unknown", "not-done"])
def test_only_what_was_done_confirms(log: MemoryObjects, clock: Hands, result: str) -> None:
    """What says that nothing was made explains no version; what leaves it open does."""
    made = version(VersionState.CURRENT, "v1")
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([action()])
    writer.outcome([{**done(new=made.id), "result": result}])
    open_still = result in {"unknown", "not-done"}
    expected = "unconfirmed" if open_still else "out-of-band"
    assert [f.status for f in verify(log, [a_key(made)]).findings] == [expected]


def test_an_altered_intent_does_not_stop_the_check(log: MemoryObjects, clock: Hands) -> None:
    """Nonsense in a record is named as such; versions are compared with what is left."""
    prefix = write_run(log, clock)
    name = f"{prefix}000000.json"
    actions: object
    for actions in ([{"key": "some-key", "kind": "rotate", "base": 7}], [7], 7, {}):
        record = {**decode(log.stored[f"{prefix}000001.json"], "x"), "type": "intent", "seq": 0}
        log.stored[name] = encode({**record, "actions": actions})
        report = verify(log, [a_key(version(VersionState.CURRENT, "v1"))])
        assert name in {p.name for p in report.problems}
        assert len(report.findings) == 1


def test_a_store_and_its_log(tmp_path: Path) -> None:
    """What the engine and the operations did is confirmed; what went past them is out-of-band."""
    adapter = LocalAdapter(tmp_path / "store")
    log = open_log((tmp_path / "audit").as_uri())
    Operations(adapter, log).create("one-key")
    Operations(adapter, log).rollback("one-key", adapter.store.describe("one-key").versions[0].id)
    kept = verify(log).newest
    run(adapter, log, keys=["one-key"])
    assert verify(log, adapter.store.scan()).ok
    assert verify(log, adapter.store.scan(), kept).ok
    adapter.rotate_key("one-key")
    report = verify(log, adapter.store.scan())
    current = adapter.store.describe("one-key").current
    assert [f.version for f in report.findings if f.status == "out-of-band"] == [
        current.id if current is not None else None
    ]


def test_versions_from_before_the_anchor(log: MemoryObjects, clock: Hands) -> None:
    """A version whose record is older than the anchor is not taken for out-of-band."""
    old = version(VersionState.CURRENT, "v0")
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([action(base="v0")])
    writer.outcome([done(base="v0", new=old.id)])
    clock.pass_(days=2)
    kept = anchor(log, write_run(log, clock))
    report = verify(log, [a_key(old)], kept)
    assert "out-of-band" not in {f.status for f in report.findings}


def test_a_rotation_meanwhile_is_not_out_of_band(tmp_path: Path, log: MemoryObjects) -> None:
    """The store is looked at before the log: what it shows by then, the log knows."""
    adapter = LocalAdapter(tmp_path)
    Operations(adapter, log).create("app-key", spec="token")

    def late() -> Iterator[Key]:
        run(adapter, log, keys=["app-key"])
        yield from adapter.store.inventory()

    report = verify(log, late())
    assert report.ok, report.findings
    assert len(report.findings) == 2
