"""What clumsy hands, wrong clocks and forgers leave in a store or a log does no harm."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit.reader import read_tail
from daena_kms.audit.records import decode, encode
from daena_kms.audit.verify import verify
from daena_kms.errors import AuditUnavailable
from daena_kms.operations import Operations
from daena_kms.rules.model import VersionState

from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, World, value
from tests.worlds.kinds import open_world

TOKEN = {"daena.grace": "1d", "daena.destroy-after": "30d", "daena.rotate-after": "10d"}
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("stage", ["daena-retired-2026-01-01", "daena-made-99991231T235959Z-x"])
def test_a_label_that_looks_like_ours_stops_no_key(tmp_path: Path, stage: str) -> None:
    """A label of our form but not our making says nothing, and every key is still rotated."""
    with open_world("aws", tmp_path, wire=True) as world:
        assert isinstance(world, AwsWorld)
        for key_id in ("odd-key", "good-key"):
            world.adapter.create_key(key_id, spec="token", tags=TOKEN)
        old = world.adapter.store.describe("odd-key").current
        assert old is not None
        world.run(11 * DAY)
        assert world.run(13 * DAY).retired == ["good-key", "odd-key"]
        world.secrets.update_secret_version_stage(
            SecretId="odd-key", VersionStage=stage, MoveToVersionId=old.id
        )
        assert "good-key" in world.run(22 * DAY).rotated


def test_a_version_id_of_a_far_year_stops_no_key(tmp_path: Path) -> None:
    """A token of our form dated in the year 9999 is nobody's date."""
    with open_world("aws", tmp_path, wire=True) as world:
        assert isinstance(world, AwsWorld)
        for key_id in ("odd-key", "good-key"):
            world.adapter.create_key(key_id)
        token = "daena-99991231T235959Z-0123456789-" + "0" * 16
        world.secrets.put_secret_value(
            SecretId="odd-key", ClientRequestToken=token, SecretString=value()
        )
        assert "good-key" in world.run(91 * DAY).rotated


def test_a_version_retired_again_waits_again(tmp_path: Path) -> None:
    """destroy-after counts from the last retirement, not from one before it was brought back."""
    with open_world("aws", tmp_path, wire=True) as world:
        assert isinstance(world, AwsWorld)
        world.adapter.create_key("app-token", spec="token", tags=TOKEN)
        first = world.adapter.store.describe("app-token").current
        assert first is not None
        world.run(11 * DAY)
        assert world.run(13 * DAY).retired == ["app-token"]
        current = world.adapter.store.describe("app-token").current
        assert current is not None
        world.secrets.update_secret_version_stage(
            SecretId="app-token",
            VersionStage="AWSCURRENT",
            MoveToVersionId=first.id,
            RemoveFromVersionId=current.id,
        )
        world.run(60 * DAY)
        world.run(62 * DAY)
        world.run(63 * DAY)
        after = world.adapter.store.describe("app-token", exact=True).version(first.id)
        assert after is not None
        assert after.state is VersionState.RETIRED
        assert after.retired is not None
        assert after.retired > world.began + 59 * DAY


def test_a_run_dated_ahead_hides_no_crash(world: World) -> None:
    """What a wrong clock wrote is not the end of the log."""
    operations = Operations(world.adapter, world.log)
    operations.create("app-key")
    ahead = world.began + 2 * DAY
    Operations(world.adapter, world.log, now=ahead).create("other-key")
    newest = read_tail(world.log, datetime.now(UTC))
    assert [f"{world.began:%Y/%m/%d}" in name for name in newest.saw] == [True]
    assert any(f"{ahead:%Y/%m/%d}" in name for name in read_tail(world.log, ahead).saw)


def test_adopting_forgets_an_earlier_enrolment(world: World) -> None:
    """Tags that this adoption did not ask for do not decide what becomes of the key."""
    stale = {"daena.managed": "false", "daena.grace": "24h", "daena.destroy-after": "1h"}
    world.foreign("app-key", value(), stale)
    Operations(world.adapter, world.log).adopt("app-key", spec="token")
    tags = world.adapter.store.describe("app-key").tags
    assert {name for name in tags if name.startswith("daena.")} == {
        *("daena.managed", "daena.spec", "daena.first-due"),
    }


def test_a_retirement_explains_no_new_version(world: World) -> None:
    """A version made past us after a run that only retired something is out-of-band."""
    tags = {"daena.grace": "1d", "daena.rotate-after": "10d"}
    Operations(world.adapter, world.log).create("app-token", spec="token", tags=tags)
    world.run(10 * DAY + HOUR)
    assert world.run(12 * DAY).retired == ["app-token"]
    world.adapter.rotate_key("app-token")
    assert not verify(world.log, world.adapter.store.inventory()).ok


def test_naming_many_keys_keeps_the_deadline(world: World) -> None:
    """Keys that there is no time to look at are left, and nothing of them changes."""
    for key_id in ("one-key", "two-key"):
        world.adapter.create_key(key_id)
    before = world.state()
    summary = world.run(keys=["one-key", "two-key"], deadline=0)
    assert summary.left == ["one-key", "two-key"]
    assert world.state() == before


@pytest.mark.parametrize(
    "forged",
    [
        {"open": {"log/9/../../../home/": []}},
        {"saw": {"log/../x": "sha256:0"}},
        {"unresolved": [{"key": "k", "kind": "rotate", "at": "soon"}]},
    ],
)
def test_a_forged_closing_record_is_not_believed(world: World, forged: dict[str, object]) -> None:
    """Names that lead elsewhere and times that are none make it no record; the next run goes on."""
    Operations(world.adapter, world.log).create("app-key")
    (name,) = [e.name for e in world.log.entries("log/") if "999999" in e.name]
    record = decode(world.log.get(name) or b"", name)
    run = "f" * 32
    other = f"{name.rsplit('/', 2)[0]}/{run}/999999.json"
    data = encode({**record, "run": run, **forged})
    with pytest.raises(AuditUnavailable, match="not a record"):
        decode(data, other)
    world.log.put_new(other, data)
    assert world.run(91 * DAY).rotated == ["app-key"]
    assert other in {problem.name for problem in verify(world.log).problems}
