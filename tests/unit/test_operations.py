"""What a person does to one key, and what the audit log says of it: on the local store."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit.records import CLOSING, INTENT, OUTCOME
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import (
    AuditUnavailable,
    ConfigError,
    DaenaKMSError,
    InvalidKeyId,
    KeyExists,
    KeyNotFound,
    NotManaged,
    RotationConflict,
)
from daena_kms.operations import Operations
from daena_kms.rules.policy import HOLD, MANAGED

from tests.unit.keys import DAY, HOUR, NOW
from tests.unit.local_keys import fingerprint, local, reading, retag, rotate_at
from tests.worlds.memory import MemoryObjects

CALLS: dict[str, Callable[[Operations, str], object]] = {
    "create": lambda ops, key_id: ops.create(key_id),
    "adopt": lambda ops, key_id: ops.adopt(key_id, spec="token"),
    "rollback": lambda ops, key_id: ops.rollback(key_id),
    "delete": lambda ops, key_id: ops.delete(key_id),
    "restore": lambda ops, key_id: ops.restore(key_id),
}
WHO = {"trigger": "cli", "principal": "alice", "reason": "ticket 7", "provider": "local"}


class Broken(MemoryObjects):
    """A log that takes no record."""

    def put_new(self, name: str, data: bytes) -> None:
        """Refuse."""
        del data
        raise AuditUnavailable(f"{name} can't be written")


class Forgetful(MemoryObjects):
    """A log that takes the intent and no record after it."""

    def put_new(self, name: str, data: bytes) -> None:
        """Take one record."""
        if self.stored:
            raise AuditUnavailable(f"{name} can't be written")
        super().put_new(name, data)


class Watched(MemoryObjects):
    """A log that notes how many versions the store held at each record."""

    def __init__(self, adapter: LocalAdapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.seen: list[object] = []

    def put_new(self, name: str, data: bytes) -> None:
        """Take the record and note the store's state."""
        super().put_new(name, data)
        self.seen.append(state(self.adapter))


@pytest.fixture
def adapter(tmp_path: Path) -> LocalAdapter:
    """An adapter over an empty store."""
    return local(tmp_path / "home")


@pytest.fixture
def log() -> MemoryObjects:
    """An empty log."""
    return MemoryObjects()


@pytest.fixture
def ops(adapter: LocalAdapter, log: MemoryObjects) -> Operations:
    """Operations at NOW, asked for by alice."""
    return at(adapter, log)


def at(adapter: LocalAdapter, log: MemoryObjects, after: timedelta = timedelta()) -> Operations:
    """Return operations so long after NOW."""
    return Operations(
        adapter, log, now=NOW + after, trigger="cli", principal="alice", reason="ticket 7"
    )


def state(adapter: LocalAdapter) -> list[object]:
    """Return everything in the store."""
    keys = [adapter.store.describe(key.id) for key in adapter.store.scan()]
    return [(key.id, dict(key.tags), key.versions, key.deleted) for key in keys]


def rotated(adapter: LocalAdapter) -> str:
    """Rotate ``k`` half an hour after NOW and return the new value's fingerprint."""
    rotate_at(adapter, "k", secrets.token_urlsafe(30), NOW + HOUR / 2)
    return reading(adapter, "k")


def last(log: MemoryObjects) -> list[dict[str, Any]]:
    """Return the last three records, which are one operation's, checked for what all have."""
    records = log.records()[-3:]
    assert [record["type"] for record in records] == [INTENT, OUTCOME, CLOSING]
    assert len({record["run"] for record in records}) == 1
    for record in records:
        assert {name: record[name] for name in WHO} == WHO
    return records


def counted(closing: dict[str, Any]) -> dict[str, int]:
    """Return what a closing record counts, beside the generation of the store."""
    counts = dict(closing["counts"])
    assert counts.pop("generation") > 1
    assert counts.pop("generation_proof") >= 0
    return counts


def test_creation_is_recorded(adapter: LocalAdapter, log: MemoryObjects, ops: Operations) -> None:
    """The intent, the new version and the times are in the log; the value is not."""
    given = secrets.token_urlsafe(30)
    version = ops.create("k", given, spec="token", tags={"daena.grace": "3d"})
    intent, outcome, closing = last(log)
    assert intent["actions"] == [{"key": "k", "kind": "create", "why": "asked for by name"}]
    (row,) = outcome["results"]
    assert (row["result"], row["new_version"], row["key"]) == ("done", version, "k")
    assert row["started"] <= row["ended"]
    assert counted(closing) == {"create": 1}
    key = adapter.store.describe("k")
    assert [v.id for v in key.versions] == [version]
    assert key.tags == {MANAGED: "true", "daena.spec": "token", "daena.grace": "3d"}
    assert reading(adapter, "k") == fingerprint(given)
    told = any(given.encode() in data for data in log.stored.values())
    assert not told
    report = verify(log, adapter.store.scan())
    assert (report.problems, [f.status for f in report.findings]) == ([], ["confirmed"])


def test_the_intent_is_durable_before_the_change(adapter: LocalAdapter) -> None:
    """When the intent is written nothing has changed; when the outcome is, everything has."""
    log = Watched(adapter)
    at(adapter, log).create("k")
    at(adapter, log, HOUR).create("other", spec="token")
    at(adapter, log, HOUR).delete("other")
    ids = [[row[0] for row in seen] for seen in log.seen if isinstance(seen, list)]
    created = [[], ["k"], ["k"], ["k"], ["k", "other"], ["k", "other"]]
    assert ids == [*created, ["k", "other"], ["k"], ["k"]]


@pytest.mark.parametrize("name", CALLS)
def test_nothing_changes_without_a_log(adapter: LocalAdapter, name: str) -> None:
    """If the intent can't be written, the store stays as it is."""
    good = MemoryObjects()
    at(adapter, good).create("k", spec="token")
    first = at(adapter, good, HOUR).rollback
    with pytest.raises(KeyNotFound):
        first("k")
    rotated(adapter)
    if name == "adopt":
        retag(adapter, "k", {MANAGED: "false"})
    if name == "restore":
        at(adapter, good, HOUR).delete("k")
    key_id = "k" if name != "create" else "new"
    before = adapter.store.describe("k")
    with pytest.raises(AuditUnavailable):
        CALLS[name](at(adapter, Broken(), DAY), key_id)
    assert adapter.store.describe("k") == before
    assert [key.id for key in adapter.store.scan()] in (["k"], [])


def test_what_a_broken_operation_did_is_found_out(
    adapter: LocalAdapter, log: MemoryObjects
) -> None:
    """If the outcome could not be written, the next operation on any key writes it."""
    forgetful = Forgetful()
    with pytest.raises(AuditUnavailable):
        at(adapter, forgetful).create("k")
    log.stored |= forgetful.stored
    findings = verify(log, adapter.store.scan()).findings
    assert [f.status for f in findings] == ["unconfirmed"]
    at(adapter, log, HOUR).create("other")
    report = verify(log, adapter.store.scan())
    assert (report.problems, {f.status for f in report.findings}) == ([], {"confirmed"})


def test_a_rollback_is_a_new_version(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations
) -> None:
    """The older value is current under a new id, and the record names source, base and result."""
    first_id = ops.create("k")
    first = reading(adapter, "k")
    second = rotated(adapter)
    base = adapter.store.describe("k").current
    assert base is not None
    new = at(adapter, log, DAY).rollback("k")
    assert (reading(adapter, "k"), reading(adapter, "k", "previous")) == (first, second)
    intent, outcome, closing = last(log)
    action = {"key": "k", "kind": "rollback", "base": base.id, "version": first_id}
    assert intent["actions"] == [{**action, "why": "asked for by name"}]
    assert outcome["results"][0]["new_version"] == new
    assert action.items() <= outcome["results"][0].items()
    assert counted(closing) == {"rollback": 1}
    assert new not in {first_id, base.id}
    assert fingerprint(adapter.get_key("k", base.id)) == second
    again = at(adapter, log, 2 * DAY).rollback("k", base.id)
    assert reading(adapter, "k", again) == second


def test_deletion_and_restoration_are_recorded(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations
) -> None:
    """Both name the key, say for how long it can come back, and lose no version."""
    ops.create("k")
    first = reading(adapter, "k")
    assert at(adapter, log, HOUR).delete("k") == "kept until it is restored"
    assert last(log)[1]["results"][0]["kind"] == "delete"
    deleted = adapter.store.describe("k")
    assert deleted.deleted is not None
    assert NOW + HOUR <= deleted.deleted < NOW + 2 * HOUR
    at(adapter, log, 2 * HOUR).restore("k")
    assert last(log)[1]["results"][0]["kind"] == "restore"
    assert counted(last(log)[2]) == {"restore": 1}
    assert reading(adapter, "k") == first
    assert verify(log, adapter.store.scan()).ok


def test_a_change_that_fails_is_recorded(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations
) -> None:
    """The outcome holds the error, the run is closed, and the error is raised."""
    ops.create("k")
    with pytest.raises(KeyExists, match="it exists already") as refused:
        ops.create("k")
    _, outcome, closing = last(log)
    (row,) = outcome["results"]
    assert (row["result"], row["error"], row["message"]) == (
        "failed",
        "key-exists",
        str(refused.value),
    )
    assert counted(closing) == {"failed": 1}
    assert len(adapter.store.describe("k").versions) == 1


@pytest.mark.parametrize("name", [name for name in CALLS if name != "create"])
def test_a_key_that_is_not_there_is_named(log: MemoryObjects, ops: Operations, name: str) -> None:
    """Nothing is written of a key that does not exist, and of one whose id is malformed."""
    with pytest.raises(KeyNotFound, match=r"^key 'gone': there is no such key"):
        CALLS[name](ops, "gone")
    with pytest.raises(InvalidKeyId, match="is not a key id"):
        CALLS[name](ops, "Gone/..")
    assert log.stored == {}


@pytest.mark.parametrize("name", ["rollback", "delete"])
@pytest.mark.parametrize(
    ("tags", "error"),
    [
        ({HOLD: "true"}, RotationConflict),
        ({MANAGED: "false"}, NotManaged),
        ({MANAGED: None}, NotManaged),
        ({"daena.keep": "x"}, ConfigError),
    ],
)
def test_what_must_not_change_is_refused(
    adapter: LocalAdapter,
    log: MemoryObjects,
    name: str,
    tags: dict[str, str | None],
    error: type[DaenaKMSError],
) -> None:
    """A held key, one that is not ours and one of a bad policy are refused before any record."""
    at(adapter, log).create("k")
    rotated(adapter)
    retag(adapter, "k", tags)
    before, written = adapter.store.describe("k"), dict(log.stored)
    with pytest.raises(error, match=r"^key 'k': "):
        CALLS[name](at(adapter, log, HOUR), "k")
    assert adapter.store.describe("k") == before
    assert log.stored == written


def test_a_key_that_is_not_ours_is_not_restored(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations
) -> None:
    """Only a managed key is held or restored, and the error says what to do instead."""
    ops.create("k")
    retag(adapter, "k", {MANAGED: None})
    with pytest.raises(NotManaged, match=r"daena\.managed=true\. Adopt it first$"):
        ops.hold("k")
    retag(adapter, "k", {MANAGED: "true"})
    ops.delete("k")
    retag(adapter, "k", {MANAGED: None})
    written = dict(log.stored)
    with pytest.raises(NotManaged, match=r"^key 'k': it does not carry daena\.managed=true\. Rest"):
        ops.restore("k")
    assert adapter.store.describe("k").deleted is not None
    assert log.stored == written
