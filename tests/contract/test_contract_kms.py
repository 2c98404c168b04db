"""The contract of the key management service, the same for every store."""

import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from daena_kms.audit.reader import history
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import CloudKMSAdapter
from daena_kms.errors import KeyExists, KeyNotFound, NotManaged, RotationConflict
from daena_kms.kms import KeyManagementService, RotationRecord
from daena_kms.stores.base import Store

from tests.unit.kms.manifests import one_signer
from tests.unit.local_keys import fingerprint
from tests.worlds.base import DAY, World, value

KEY = "daena-key"


def service(world: World, **options: Any) -> KeyManagementService:
    """Return the service on a world's store and log."""
    given = {"signing_key": one_signer(), "operator": "alice", **options}
    return KeyManagementService(adapter=world.adapter, log=world.log, **given)


def check_sound(world: World, kms: KeyManagementService) -> None:
    """Assert that log, store and manifests agree."""
    report = verify(world.log, world.adapter.store.inventory())
    assert report.ok, (report.problems, report.findings)
    chain = kms.verify_chain()
    assert (chain.problems, chain.notes) == ([], [])


def current(adapter: CloudKMSAdapter) -> str:
    """Return the id of the key's current version."""
    version = adapter.store.describe(KEY, exact=True).current
    assert version is not None
    return version.id


def test_the_first_record_creates_the_key(world: World) -> None:
    """A key that is not there is created, managed, and replaced by no run."""
    kms, material = service(world), value()
    record = kms.record_rotation(material, KEY, {"ticket": "OPS-7"})
    assert fingerprint(kms.get_key_from_cloud(KEY)) == fingerprint(material)
    assert record == RotationRecord(
        key_id=KEY,
        kind="create",
        version=current(world.adapter),
        run=record.run,
        manifest_id=record.manifest_id,
        manifest=record.manifest,
        time=record.time,
    )
    assert world.adapter.list_keys() == [KEY]
    assert world.run(400 * DAY).actions == []
    check_sound(world, kms)


def test_the_caller_s_value_becomes_current_by_a_rotation(world: World) -> None:
    """It is that value, from the base before it, which stays readable; all of it is in the log."""
    first = world.adapter.create_key(KEY)
    kms, material = service(world), value()
    record = kms.record_rotation(key_material=material, key_id=KEY, store_in_cloud=True)
    assert (record.kind, record.version) == ("rotate", current(world.adapter))
    assert fingerprint(kms.get_key_from_cloud(KEY)) == fingerprint(material)
    assert fingerprint(kms.get_key_from_cloud(KEY, "previous")) == fingerprint(first)
    row = list(history(world.log))[-1]
    assert (row["run"], row["new_version"]) == (record.run, record.version)
    assert (row["principal"], row["manifest"]) == ("alice", record.manifest)
    manifest = kms.load_last_manifest()
    assert manifest is not None
    assert (manifest.run, manifest.version, manifest.seq) == (record.run, record.version, 1)
    assert kms.matches(manifest, material)
    assert not kms.matches(manifest, first)
    assert kms.verify_chain()


def test_a_thousand_bytes_and_any_text(world: World) -> None:
    """What a caller brings is not looked into: it need not be of the key's spec."""
    kms = service(world)
    for material in ("x", "käse \n\t \N{SNOWMAN}", "{}", "y" * 25_000):
        kms.record_rotation(material, KEY)
        assert fingerprint(kms.get_key_from_cloud(KEY)) == fingerprint(material)
    check_sound(world, kms)


def test_what_must_not_change_does_not(world: World) -> None:
    """A key that is not ours, on hold, or deleted is refused, and no manifest says otherwise."""
    kms = service(world)
    world.foreign("their-key", value())
    with pytest.raises(NotManaged, match="their-key"):
        kms.record_rotation(value(), "their-key")
    kms.record_rotation(value(), KEY)
    world.tag(KEY, hold="true")
    with pytest.raises(RotationConflict, match="on hold"):
        kms.record_rotation(value(), KEY)
    world.tag(KEY, hold=None)
    kms.delete_key(KEY)
    before = world.state()
    with pytest.raises(KeyNotFound, match="Restore it first"):
        kms.record_rotation(value(), KEY)
    assert world.state() == before
    assert len(list(kms.iter_manifests())) == 1


def _between(monkeypatch: pytest.MonkeyPatch, store: Store, name: str, act: Any) -> None:
    """Let somebody act right before the store's primitive ``name`` is called for the first time."""
    plain = getattr(store, name)
    pending = [act]

    def first(*arguments: Any, **options: Any) -> object:
        while pending:
            pending.pop()()
        return plain(*arguments, **options)

    monkeypatch.setattr(store, name, first)


@pytest.mark.parametrize("moment", ["stage", "promote"])
def test_of_two_at_once_one_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """One value is current and attested; the other fails, and is never taken for it.

    Where the store lets nobody in once a rotation has begun, it is the second that fails.
    """
    kms, ours, theirs = service(world), value(), value()
    kms.record_rotation(value(), KEY)
    twin = service(world_again(world))
    held = moment == "promote" and bool(world.patience)

    def at_once() -> None:
        if held:
            with pytest.raises(RotationConflict, match=KEY):
                twin.record_rotation(theirs, KEY)
        else:
            twin.record_rotation(theirs, KEY)

    _between(monkeypatch, world.adapter.store, moment, at_once)
    if held:
        kms.record_rotation(ours, KEY)
    else:
        with pytest.raises(RotationConflict, match=KEY):
            kms.record_rotation(ours, KEY)
    won, lost = (ours, theirs) if held else (theirs, ours)
    assert fingerprint(world.adapter.get_key(KEY)) == fingerprint(won)
    manifests = list(kms.iter_manifests())
    assert [kms.matches(manifest, won) for manifest in manifests] == [False, True]
    assert not any(kms.matches(manifest, lost) for manifest in manifests)
    check_sound(world, kms)


def world_again(world: World) -> World:
    """Return a world whose adapter is another process's."""
    other = copy.copy(world)
    other.adapter = world.again()
    return other


def test_a_key_that_a_twin_creates_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two who create the key at once one stores its value, and the other gets a conflict."""
    kms, theirs = service(world), value()
    other = service(world_again(world))
    _between(monkeypatch, world.adapter.store, "create", lambda: other.record_rotation(theirs, KEY))
    with pytest.raises(RotationConflict, match="it exists already"):
        kms.record_rotation(value(), KEY)
    assert fingerprint(world.adapter.get_key(KEY)) == fingerprint(theirs)
    check_sound(world, kms)


def test_a_key_that_was_deleted_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, deleted: to record again would not help, and the error says what does."""
    kms, other = service(world), service(world_again(world))

    def come_and_go() -> None:
        other.record_rotation(value(), KEY)
        other.delete_key(KEY)

    _between(monkeypatch, world.adapter.store, "create", come_and_go)
    with pytest.raises(KeyExists, match=r"deleted.*[Rr]estore"):
        kms.record_rotation(value(), KEY)
    check_sound(world, kms)


def test_an_engine_s_run_and_a_record_share_one_log(world: World) -> None:
    """A run rotates what is due and not what callers bring; the next record goes on from there."""
    kms = service(world)
    world.adapter.create_key("due-key")
    kms.record_rotation(value(), KEY)
    assert world.run(91 * DAY).rotated == ["due-key"]
    later = world.began + 91 * DAY + timedelta(minutes=5)
    kms = service(world, now=later)
    record = kms.record_rotation(value(), KEY)
    assert record.time - later < timedelta(minutes=1)
    assert kms.verify_chain()


def test_rollback_is_attested(world: World) -> None:
    """The retained version's value is current again, as a new version that a manifest attests."""
    kms, first = service(world), value()
    record = kms.record_rotation(first, KEY)
    kms.record_rotation(value(), KEY)
    back = kms.rollback_key(KEY)
    assert (back.kind, back.version) == ("rollback", current(world.adapter))
    assert fingerprint(kms.get_key_from_cloud(KEY)) == fingerprint(first)
    again = kms.rollback_key(KEY, record.version or "")
    assert again.version == current(world.adapter)
    assert [m.kind for m in kms.iter_manifests()] == ["create", "rotate", "rollback", "rollback"]
    assert all(kms.matches(m, first) for m in list(kms.iter_manifests())[2:])
    check_sound(world, kms)


def test_what_is_deleted_comes_back(world: World) -> None:
    """delete_key says for how long it can be restored; all versions are there again; both audited.

    In between the key can't be read, recorded or rolled back, and a run passes over it.
    """
    kms, first, second = service(world), value(), value()
    kms.record_rotation(first, KEY)
    kms.record_rotation(second, KEY)
    window = kms.delete_key(KEY)
    assert window == world.adapter.store.can.delete_means
    with pytest.raises(KeyNotFound, match=KEY):
        kms.get_key_from_cloud(KEY)
    with pytest.raises(KeyNotFound, match=KEY):
        kms.rollback_key(KEY)
    # Within each store's window for what is deleted.
    assert world.run(80 * DAY).failed == []
    kms.restore_key(KEY)
    assert fingerprint(kms.get_key_from_cloud(KEY)) == fingerprint(second)
    assert fingerprint(kms.get_key_from_cloud(KEY, "previous")) == fingerprint(first)
    rows = list(history(world.log, key_id=KEY))
    assert [row["kind"] for row in rows][-2:] == ["delete", "restore"]
    assert all((row["principal"], row["result"]) == ("alice", "done") for row in rows)
    check_sound(world, kms)


def test_elsewhere_touches_no_store(world: World) -> None:
    """With store_in_cloud=False the log and the manifest are written, and no call is made."""
    kms, material = service(world), value()
    before, calls = world.state(), world.store_calls()
    record = kms.record_rotation(material, KEY, store_in_cloud=False)
    assert world.store_calls() == calls
    assert world.state() == before
    assert (record.kind, record.version) == ("record", None)
    assert [row["kind"] for row in history(world.log)] == ["record"]
    assert isinstance(record.time, datetime)
    check_sound(world, kms)
