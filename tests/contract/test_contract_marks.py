"""How each store keeps the mark of a compromised version, and what a forged one can do."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.engine import run
from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.rules.model import VersionState
from daena_kms.rules.names import mark
from daena_kms.rules.summary import Summary
from daena_kms.stores.local.store import LocalStore

from tests.unit.local_keys import make_old
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY, FaultWorld, value
from tests.worlds.gcp import GcpWorld
from tests.worlds.local import LocalWorld
from tests.worlds.memory import MemoryObjects

KEY = "app-key"
WHY = "seen in a public log"
HOUR = timedelta(hours=1)
TAG = "daena-compromised"


def emergency(world: FaultWorld, after: timedelta = HOUR) -> Summary:
    """Say that what is current has leaked."""
    return world.run(after, keys=[KEY], compromised=True, reason=WHY)


def half(world: FaultWorld, step: str, after: timedelta = HOUR) -> str:
    """Have an emergency that comes as far as before that step; return the old version's id."""
    old = world.current(KEY)

    def down(*_: object) -> None:
        raise StoreUnavailable("down", key_id=KEY, todo="Wait")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.adapter.store, step, down)
        emergency(world, after)
    return old


def elsewhere(world: FaultWorld, after: timedelta) -> Summary:
    """Run on another machine, with a log that is empty."""
    return run(world.again(), MemoryObjects(), now=world.at(after))


def put_mark(world: FaultWorld, version: str) -> None:
    """Mark a version as whoever may tag can, past us."""
    match world:
        case AwsWorld():
            name = f"daena-retired-20260101T000000Z-compromised-{mark(version)}"
            world.secrets.update_secret_version_stage(
                SecretId=KEY, VersionStage=name, MoveToVersionId=version
            )
        case AzureWorld():
            tags = dict(world.client.get_secret(KEY, version).properties.tags or {})
            marked = {**tags, TAG: f"pending-{version}"}
            world.client.update_secret_properties(KEY, version, tags=marked)
            # What a listing shows is the newest version.
            newest = world.sim.secrets.version(KEY)
            if newest.id != version:
                world.retag(KEY, {"daena-open": f"revoke-{newest.tags['daena-open']}"})
        case GcpWorld():
            world.retag(KEY, {TAG: json.dumps({version: "pending"})})
        case LocalWorld():
            # Nobody without the master key can: the row would be one that we did not write.
            store = world.again().store
            key = store.describe(KEY)
            store.mark_compromised(key, version, key.versions[0].created)


def test_a_forged_mark_ends_a_grace_once(world: FaultWorld) -> None:
    """On a previous version: it is retired early, and that can be undone for good."""
    world.operations().create(KEY, spec="token")
    old = world.current(KEY)
    world.run(HOUR, keys=[KEY])
    put_mark(world, old)
    summary = world.run(2 * HOUR)
    assert (summary.revoked_versions, summary.rotated) == ({KEY: [old]}, [])
    world.enable(KEY, old)
    for hours in (3, 4):
        assert world.run(hours * HOUR).actions == []


def test_a_forged_mark_rotates_once(world: FaultWorld) -> None:
    """On the current version: it is rotated away from; nothing else is lost, and it reads on."""
    world.operations().create(KEY, spec="token")
    first = world.current(KEY)
    world.run(HOUR, keys=[KEY])
    old = world.current(KEY)
    put_mark(world, old)
    summary = world.run(2 * HOUR)
    assert (summary.rotated, summary.revoked_versions) == ([KEY], {KEY: [old]})
    assert world.adapter.get_key(KEY)
    assert world.adapter.store.read(KEY, first)
    assert world.run(3 * HOUR).actions == []


def test_a_forged_mark_respects_hold_and_management(world: FaultWorld) -> None:
    """A key on hold, or one that is not managed, is left as it is."""
    world.operations().create(KEY)
    put_mark(world, world.current(KEY))
    for tags in ({"hold": "true"}, {"hold": None, "managed": "false"}):
        world.tag(KEY, **tags)
        before = world.state()
        summary = world.run(2 * HOUR)
        assert (summary.rotated, summary.revoked) == ([], [])
        assert world.state() == before


# Azure.


@pytest.mark.parametrize("step", ["stage", "promote", "revoke"])
@pytest.mark.parametrize("count", [0, 10, 11])
def test_azure_loses_no_tag_and_needs_none_more(azure: AzureWorld, step: str, count: int) -> None:
    """With fifteen tags on the version the mark takes the place of one of ours."""
    azure.operations().create(KEY)
    own = {f"own-{number}": "x" for number in range(count)}
    azure.retag(KEY, own)
    azure.run(HOUR, keys=[KEY])
    assert len(azure.sim.secrets.version(KEY).tags) == 4 + count
    old = half(azure, step, 2 * HOUR)
    later = 2 * HOUR + azure.patience
    assert elsewhere(azure, later).revoked_versions == {KEY: [old]}
    for version in azure.sim.secrets.versions(KEY):
        assert len(version.tags) <= 15
        assert version.tags.get("daena.managed") == "true"
    for version in (azure.sim.secrets.version(KEY), azure.sim.secrets.version(KEY, old)):
        assert version.tags.items() >= own.items()
    assert azure.look(KEY).version(old).revoked  # type: ignore[union-attr] # it is there
    azure.sim.calls.clear()
    assert elsewhere(azure, later + HOUR).actions == []
    assert azure.store_calls() == ["GetSecrets"]


def test_azure_looks_closer_than_the_caller_did(azure: AzureWorld) -> None:
    """Who rotates by name with a look of their own, as the HTTP API does, retires what is left."""
    azure.operations().create(KEY)
    old = half(azure, "revoke")
    seen = azure.adapter.store.describe(KEY)
    assert seen.unrevoked
    summary = azure.run(2 * HOUR, keys=[KEY], looks={KEY: seen})
    assert (summary.rotated, summary.revoked_versions) == ([KEY], {KEY: [old]})


@pytest.mark.parametrize("step", ["stage", "revoke"])
def test_azure_copies_of_a_mark_say_nothing(azure: AzureWorld, step: str) -> None:
    """Somebody sets a value with all tags of the version before: that value is not compromised."""
    azure.operations().create(KEY)
    old = half(azure, step)
    azure.wait(HOUR)
    azure.overwrite(KEY, value(32))
    newest = azure.current(KEY)
    summary = elsewhere(azure, 3 * HOUR)
    assert (summary.revoked_versions, summary.rotated) == ({KEY: [old]}, [])
    assert azure.current(KEY) == newest
    assert elsewhere(azure, 4 * HOUR).actions == []


@pytest.mark.parametrize("text", ["", "pending", "pending-", "revoked-" + "g" * 32, "x" * 200])
def test_azure_reports_a_mark_that_is_none(azure: AzureWorld, text: str) -> None:
    """It leads to nothing else, and an emergency writes it anew."""
    azure.operations().create(KEY)
    azure.retag(KEY, {TAG: text})
    summary = azure.run(HOUR)
    assert (summary.failed, summary.rotated, summary.revoked) == ([KEY], [], [])
    assert f"its tag {TAG} is not of the form of a mark" in str(summary.errors[KEY])
    assert emergency(azure, 2 * HOUR).revoked == [KEY]
    assert azure.run(3 * HOUR).actions == []


# Google Cloud.


@pytest.mark.parametrize(
    "text",
    [
        *("x", "[]", "1", "null", '{"1":"maybe"}', '{"01":"pending"}', '{"x":"pending"}'),
        *('{"1":null}', '{"1":["pending"]}', "[" * 5000),
    ],
)
def test_gcp_reports_a_mark_that_is_none(gcp: GcpWorld, text: str) -> None:
    """It leads to nothing else, and an emergency writes it anew."""
    gcp.operations().create(KEY)
    gcp.retag(KEY, {TAG: text})
    summary = gcp.run(HOUR)
    assert (summary.failed, summary.rotated, summary.revoked) == ([KEY], [], [])
    assert f"its annotation {TAG} was changed by somebody else" in str(summary.errors[KEY])
    assert emergency(gcp, 2 * HOUR).revoked == [KEY]
    assert gcp.run(3 * HOUR).actions == []


def test_gcp_keeps_a_mark_that_is_set_during_a_rotation(gcp: GcpWorld) -> None:
    """Another rotation has claimed the key and rewrites the annotations when it promotes."""
    gcp.operations().create(KEY)
    old, store = gcp.current(KEY), gcp.adapter.store
    key = store.describe(KEY)
    staged = store.stage(key, gcp.adapter.new_material(KEY, key.tags), gcp.at(HOUR))
    summary = emergency(gcp)
    assert (summary.failed, summary.revoked) == ([KEY], [])
    store.promote(key, staged, gcp.at(HOUR))
    assert gcp.current(KEY) != old
    assert elsewhere(gcp, 2 * HOUR).revoked_versions == {KEY: [old]}


def test_gcp_has_room_for_an_emergency(gcp: GcpWorld) -> None:
    """A hundred records are the most that ordinary rotations write; marks of others stay."""
    gcp.operations().create(KEY)
    gcp.run(HOUR, keys=[KEY])
    old = gcp.current(KEY)
    records = json.loads(gcp.sim.secrets[KEY].annotations["daena-versions"])
    one = {"at": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "base": "900"}
    records |= {str(1000 + n): one for n in range(98)}
    gcp.retag(KEY, {"daena-versions": json.dumps(records), TAG: '{"1001":"revoked"}'})
    assert "no room" in str(gcp.run(2 * HOUR, keys=[KEY]).errors[KEY])
    assert emergency(gcp, 3 * HOUR).revoked_versions == {KEY: [old]}
    marks = json.loads(gcp.sim.secrets[KEY].annotations[TAG])
    assert marks == {"1001": "revoked", old: "revoked"}


# Local.


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Give the folder of a store that an older version made, with two versions of a key."""
    store = LocalStore(tmp_path)
    world = LocalWorld(tmp_path / "unused")
    store.create(KEY, value(), {"daena.managed": "true", "daena.spec": "token"}, world.began)
    key = store.describe(KEY)
    store.promote(key, store.stage(key, value(), world.began), world.began)
    store.close()
    make_old(tmp_path)
    return tmp_path


def columns(home: Path) -> list[str]:
    """Return the columns of the table of versions."""
    with closing(sqlite3.connect(home / "keys.db")) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(versions)")]


def test_an_older_file_is_upgraded(older: Path) -> None:
    """With the first use, whole; nothing in it is compromised, and a mark can be set."""
    assert "compromised" not in columns(older)
    store = LocalStore(older)
    key = store.describe(KEY)
    assert [(v.compromised, v.revoked) for v in key.versions] == [(False, False)] * 2
    assert columns(older)[-1] == "compromised"
    assert key.current is not None
    marked = store.mark_compromised(key, key.current.id, key.current.created)
    assert marked.versions == store.describe(KEY).versions
    assert [v.compromised for v in marked.versions if v.state is VersionState.CURRENT] == [True]
    store.close()


@pytest.mark.parametrize("name", ["SQLITE_READONLY", "SQLITE_FULL"])
def test_an_older_file_that_can_t_be_written_reads(
    older: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Versions, states and values, as before; once it can be written it is upgraded."""
    connect, store = sqlite3.connect, LocalStore(older)

    def refuse(path: object, **more: Any) -> sqlite3.Connection:
        if path == ":memory:":
            copy: sqlite3.Connection = connect(":memory:", **more)
            return copy
        error = sqlite3.OperationalError("no")
        error.sqlite_errorname = name
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", refuse)
        key = store.describe(KEY)
        assert len(key.versions) == 2
        assert store.read(KEY)
        assert [k.id for k in store.scan()] == [KEY]
    assert "compromised" not in columns(older)
    assert key.current is not None
    store.mark_compromised(key, key.current.id, key.current.created)
    assert any(v.compromised for v in store.describe(KEY).versions)
    store.close()


@pytest.mark.parametrize("text", ["", "maybe", "PENDING", "2026-01-01T00:00:00Z"])
def test_a_local_mark_that_is_none(tmp_path: Path, text: str) -> None:
    """A row that we did not write is reported as such, as with any other column."""
    world = LocalWorld(tmp_path)
    world.operations().create(KEY)
    with closing(sqlite3.connect(world.home / "keys.db")) as connection, connection:
        connection.execute("UPDATE versions SET compromised = ?", (text,))
    with pytest.raises(ConfigError, match="malformed row"):
        world.look(KEY)


def test_many_days_later_it_is_still_marked(world: FaultWorld) -> None:
    """Through everything that a policy does to it, as long as the store shows the version."""
    tags = {"daena.grace": "1d", "daena.rotate-after": "30d"}
    world.operations().create(KEY, spec="token", tags=tags)
    emergency(world, DAY)
    old = [v.id for v in world.look(KEY).versions if v.compromised]
    assert len(old) == 1
    for days in (32, 34, 64, 66):
        assert world.run(days * DAY).failed == []
    assert [v.id for v in world.look(KEY).versions if v.compromised] == old
