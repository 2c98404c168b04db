"""What an earlier run left is settled by what was seen, and not because a key was not found.

On Azure a name on its way between deleted and live answers 404 on both sides for up to two minutes
(azure-sdk-for-go, TestBeginRecoverDeletedSecret.json); on AWS a read right after a create may not
find it (terraform-provider-aws#18406).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from daena_kms.audit.reader import read_tail
from daena_kms.audit.records import Context
from daena_kms.audit.writer import RunWriter
from daena_kms.engine.journal import Journal
from daena_kms.errors import KeyNotFound, StoreUnavailable
from daena_kms.rules.model import Key
from daena_kms.stores.base import Absence, Store

from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, FaultWorld, value

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MANAGED = {"daena.managed": "true", "daena.spec": "token"}
HOLD = "daena.hold"

type Change = Callable[[FaultWorld, str], object]


def _key(world: FaultWorld, key_id: str) -> Key:
    return world.look(key_id)


def _previous(world: FaultWorld, key_id: str) -> str:
    version = _key(world, key_id).previous
    assert version is not None
    return version.id


def _rotated(world: FaultWorld, key_id: str) -> None:
    world.adapter.rotate_key(key_id)


def _retired(world: FaultWorld, key_id: str) -> None:
    _rotated(world, key_id)
    world.adapter.store.retire(_key(world, key_id), _previous(world, key_id), world.at())


def _held(world: FaultWorld, key_id: str) -> None:
    world.adapter.store.tag(_key(world, key_id), {HOLD: "true"})


def _nothing(_world: FaultWorld, _key_id: str) -> None:
    """Change nothing."""


def _theirs(world: FaultWorld, key_id: str) -> None:
    world.foreign(key_id, value(), {}, age=DAY)


def _tagged(world: FaultWorld, key_id: str) -> None:
    _theirs(world, key_id)
    world.retag(key_id, MANAGED)


def _created(world: FaultWorld, key_id: str) -> None:
    world.adapter.create_key(key_id)


def _deleted(world: FaultWorld, key_id: str) -> None:
    world.adapter.delete_key(key_id)


def _after(*changes: Change) -> Change:
    """Return a change that makes these, one after the other."""

    def change(world: FaultWorld, key_id: str) -> None:
        for one in changes:
            one(world, key_id)

    return change


#: By kind: what makes the key as it was before, and what the action then does.
KINDS: dict[str, tuple[Change, Change]] = {
    "create": (_nothing, _created),
    "rotate": (_created, _rotated),
    "finish": (_created, _rotated),
    "rollback": (_after(_created, _rotated), lambda w, k: w.adapter.rollback_key(k)),
    "adopt": (_theirs, lambda w, k: w.adapter.store.adopt(_key(w, k), MANAGED, w.at())),
    "enrol": (_tagged, lambda w, k: w.adapter.store.enrol(_key(w, k), {}, w.at())),
    "hold": (_created, _held),
    "release": (
        _after(_created, _held),
        lambda w, k: w.adapter.store.tag(_key(w, k), {HOLD: None}),
    ),
    "policy": (_created, lambda w, k: w.adapter.store.tag(_key(w, k), {"daena.keep": "3"})),
    "retire": (
        _after(_created, _rotated),
        lambda w, k: w.adapter.store.retire(_key(w, k), _previous(w, k), w.at()),
    ),
    "revoke": (
        _after(_created, _rotated),
        lambda w, k: w.adapter.store.revoke(_key(w, k), _previous(w, k), w.at()),
    ),
    "destroy": (
        _after(_created, _retired),
        lambda w, k: w.adapter.store.destroy(_key(w, k), _retired_id(w, k), w.at()),
    ),
    "delete": (_created, _deleted),
    "restore": (_after(_created, _deleted), lambda w, k: w.adapter.restore_key(k)),
}


def _retired_id(world: FaultWorld, key_id: str) -> str:
    return next(v.id for v in _key(world, key_id).versions if v.retired is not None)


def _kinds(world: FaultWorld) -> list[str]:
    """Return the kinds of actions that this store has."""
    return [kind for kind in KINDS if kind != "destroy" or world.provider != "azure"]


def _row(world: FaultWorld, kind: str) -> dict[str, Any]:
    """Return the action as an intent has it; its key is named after its kind."""
    key_id = f"{kind}-key"
    row: dict[str, Any] = {"key": key_id, "kind": kind, "why": "asked for by name"}
    if kind not in {"create", "restore"}:
        row["base"] = _key(world, key_id).current_ref
    if kind in {"retire", "revoke"}:
        row |= {"kind": "retire", "version": _previous(world, key_id)}
    if kind == "revoke":
        row["compromised"] = True
    if kind == "destroy":
        row["version"] = _retired_id(world, key_id)
    if kind == "policy":
        row["tags"] = {"daena.keep": "3"}
    return row


def _left(world: FaultWorld, after: timedelta = timedelta()) -> list[dict[str, Any]]:
    """Write the intents of all kinds of actions and no more, as a crash leaves them."""
    for kind in _kinds(world):
        KINDS[kind][0](world, f"{kind}-key")
    rows = [_row(world, kind) for kind in _kinds(world)]
    context = Context(world.provider, "schedule", "someone", None)
    RunWriter(world.log, context, lambda: world.at(after)).intent(rows)
    return rows


def _recovered(world: FaultWorld, after: timedelta) -> dict[str, str]:
    """Recover as a run does, and return by key what was written about earlier actions."""
    context = Context(world.provider, "schedule", "someone", None)
    journal = Journal.begin(world.log, context, lambda: world.at(after))
    journal.recover(world.adapter.store)
    journal.close({})
    return {
        row["key"]: row["result"]
        for record in world.records()
        if record["run"] == journal.run_id
        for row in record.get("results", ())
    }


def _unresolved(world: FaultWorld, after: timedelta) -> set[str]:
    return {action["key"] for action in read_tail(world.log, world.at(after)).unresolved}


def _not_found(key_id: str, *, exact: bool = False) -> Key:
    del exact
    raise KeyNotFound("there is no such key", key_id=key_id)


@pytest.mark.parametrize("happened", [True, False], ids=["done", "not done"])
def test_not_found_closes_no_case(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch, *, happened: bool
) -> None:
    """Every kind of action stays open while its key is not found, and is settled by a look."""
    rows = _left(world)
    keys = {row["key"] for row in rows}
    for kind in _kinds(world) if happened else ():
        KINDS[kind][1](world, f"{kind}-key")
    with monkeypatch.context() as patch:
        patch.setattr(world.adapter.store, "describe", _not_found)
        for hours in (1, 2, 30):
            assert _recovered(world, hours * HOUR) == {}
            assert _unresolved(world, hours * HOUR + MINUTE) == keys
    found = _recovered(world, 31 * HOUR)
    expected = dict.fromkeys(keys, "done" if happened else "not-done")
    if not happened:
        del expected["create-key"]  # nothing shows whether it comes
        assert _unresolved(world, 32 * HOUR) == {"create-key", "revoke-key"}
    assert found == expected


def test_what_is_never_found_is_given_up_and_reported(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a week, in the log, by the run and by verify: nothing is lost silently."""
    keys = {row["key"] for row in _left(world)}
    with monkeypatch.context() as patch:
        patch.setattr(world.adapter.store, "describe", _not_found)
        assert _recovered(world, 6 * DAY) == {}
        assert _recovered(world, 8 * DAY) == dict.fromkeys(keys, "gone")
    assert _unresolved(world, 8 * DAY + HOUR) == set()
    assert caplog.text.count("No run looks any more") == len(keys)
    notes = [note for note in world.verify().notes if "no run looks any more" in note]
    assert len(notes) == len(keys)
    assert sum("the revocation of revoke-key" in note for note in notes) == 1


def test_a_revocation_that_was_given_up_stands_in_the_store(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version carries its mark: when the key is seen again, it is retired."""
    world.adapter.create_key("leaked-key")
    leaked = world.current("leaked-key")
    store = world.adapter.store

    def silent(*_: object, **__: object) -> None:
        raise StoreUnavailable("no answer", key_id="leaked-key")

    with monkeypatch.context() as patch:
        patch.setattr(store, "revoke", silent)
        options = {"keys": ["leaked-key"], "compromised": True, "reason": "it leaked"}
        assert world.run(MINUTE, **options).unrevoked == {"leaked-key": [leaked]}
        patch.setattr(store, "describe", _not_found)
        patch.setattr(store, "scan", lambda: iter(()))
        assert _recovered(world, 8 * DAY) == {"leaked-key": "gone"}
    assert world.run(9 * DAY).revoked_versions == {"leaked-key": [leaked]}
    (version,) = (v for v in world.look("leaked-key").versions if v.id == leaked)
    assert version.over


def test_a_key_that_is_created_again_settles_the_first_try(world: FaultWorld) -> None:
    """A store creates no key that exists: so the run that crashed had not created it."""
    context = Context(world.provider, "manual", "someone", None)
    action = {"key": "new-key", "kind": "create", "why": "asked for by name"}
    RunWriter(world.log, context, world.at).intent([action])
    version = world.operations(2 * HOUR).create("new-key")
    rows = [
        (row["result"], row.get("new_version"), row.get("recovered", False))
        for record in world.records()
        for row in record.get("results", ())
    ]
    assert sorted(rows) == [("done", version, False), ("not-done", None, True)]
    assert _unresolved(world, 3 * HOUR) == set()
    assert world.verify().ok


@pytest.mark.parametrize("kind", ["retire", "destroy", "revoke"])
def test_a_version_that_a_listing_does_not_show(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It is not retired because of that, nor destroyed: it may be shown later."""
    if kind not in _kinds(world):
        return
    KINDS[kind][0](world, f"{kind}-key")
    row = _row(world, kind)
    context = Context(world.provider, "schedule", "someone", None)
    RunWriter(world.log, context, world.at).intent([row])
    describe = world.adapter.store.describe

    def without(key_id: str, *, exact: bool = False) -> Key:
        key = describe(key_id, exact=exact)
        versions = tuple(v for v in key.versions if v.id != row["version"])
        return Key(**{**_members(key), "versions": versions})

    with monkeypatch.context() as patch:
        patch.setattr(world.adapter.store, "describe", without)
        patch.setattr(Store, "absence", lambda *_: Absence.UNSEEN)
        patch.setattr(type(world.adapter.store), "absence", lambda *_: Absence.UNSEEN)
        assert _recovered(world, 2 * HOUR) == {}
        assert _unresolved(world, 3 * HOUR) == {row["key"]}
    KINDS[kind][1](world, row["key"])
    assert _recovered(world, 4 * HOUR) == {row["key"]: "done"}


def _members(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in Key.__dataclass_fields__}


def test_what_aws_says_of_a_version_without_a_label(aws: AwsWorld) -> None:
    """It is released while the list with IncludeDeprecated has it, and erased after that."""
    aws.adapter.create_key("app-key")
    first = aws.current("app-key")
    aws.adapter.rotate_key("app-key")
    store = aws.adapter.store
    key = aws.look("app-key")
    store.retire(key, first, aws.at())
    assert aws.look("app-key").version(first) is not None
    store.destroy(aws.look("app-key"), first, aws.at())
    key = aws.look("app-key")
    assert store.absence(key, first) is Absence.RELEASED
    secret = aws.sim.secrets.secret("app-key")
    del secret.versions[first]
    assert store.absence(key, first) is Absence.ERASED
    # A listing that lacks the version that is current lags.
    current = aws.current("app-key")
    held = secret.versions.pop(current)
    assert store.absence(key, first) is Absence.UNSEEN
    secret.versions[current] = held


def test_the_versions_of_a_deleted_secret_are_not_listed(aws: AwsWorld) -> None:
    """How AWS lists them nobody has recorded: what became of one is left until it is restored."""
    aws.adapter.create_key("app-key")
    _retired(aws, "app-key")
    retired = next(v.id for v in _key(aws, "app-key").versions if v.retired is not None)
    row = {"key": "app-key", "kind": "destroy", "base": aws.current("app-key"), "version": retired}
    context = Context(aws.provider, "schedule", "someone", None)
    RunWriter(aws.log, context, aws.at).intent([row])
    store = aws.adapter.store
    store.destroy(_key(aws, "app-key"), retired, aws.at())
    aws.adapter.delete_key("app-key")
    aws.sim.calls.clear()
    assert _recovered(aws, 2 * HOUR) == {}
    assert "ListSecretVersionIds" not in aws.store_calls()
    assert _unresolved(aws, 3 * HOUR) == {"app-key"}
    aws.adapter.restore_key("app-key")
    assert _recovered(aws, 4 * HOUR) == {"app-key": "done"}
