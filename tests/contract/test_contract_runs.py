"""The contract of a run, the same for every store: what is due, kept, and left alone."""

from datetime import timedelta

import pytest
from daena_kms.audit.verify import verify
from daena_kms.errors import ConfigError, InvalidKeyId, RotationConflict
from daena_kms.operations import Operations
from daena_kms.rules.model import VersionState

from tests.worlds.base import DAY, World, value
from tests.worlds.local import LocalWorld


def test_only_what_is_due_is_rotated(world: World) -> None:
    """A run rotates due keys, once, and a second run right after finds nothing."""
    old = world.adapter.create_key("due-key")
    world.adapter.create_key("fresh-key", tags={"daena.rotate-after": "365d"})
    assert world.run().counts()["rotated"] == 0
    summary = world.run(91 * DAY)
    assert (summary.rotated, summary.failed, summary.keys) == (["due-key"], [], 2)
    assert world.adapter.get_key("due-key") != old
    assert world.adapter.get_key("due-key", "previous") == old
    assert world.run(91 * DAY).rotated == []


def test_a_late_key_rotates_once_and_counts_from_then(world: World) -> None:
    """A key that missed ten intervals is rotated once, and is next due one interval later."""
    world.adapter.create_key("late-key", tags={"daena.rotate-after": "10d"})
    assert world.run(100 * DAY).rotated == ["late-key"]
    assert world.run(109 * DAY).rotated == []
    assert world.run(111 * DAY).rotated == ["late-key"]


def test_a_dry_run_changes_nothing(world: World) -> None:
    """A dry run plans with reasons; neither the store nor the log changes."""
    world.adapter.create_key("due-key")
    before = world.state()
    summary = world.run(92 * DAY + timedelta(minutes=1), dry_run=True)
    assert [(a.key_id, a.kind.value) for a in summary.actions] == [("due-key", "rotate")]
    assert summary.actions[0].reason.endswith("last rotated 92 d ago, rotate-after 90 d")
    assert summary.rotated == []
    assert world.state() == before
    assert world.log.entries("log/") == []


def test_named_keys_are_rotated_due_or_not(world: World) -> None:
    """Naming keys rotates them and no other; names that can't be are reported, each by itself."""
    for key_id in ("one-key", "two-key", "held-key"):
        world.adapter.create_key(key_id)
    world.tag("held-key", hold="true")
    world.foreign("their-key", value())
    summary = world.run(keys=["one-key", "one-key", "no-key", "held-key", "their-key"])
    assert summary.rotated == ["one-key"]
    assert summary.failed == ["held-key", "no-key", "their-key"]
    codes = {key_id: error.code for key_id, error in summary.errors.items()}
    assert codes == {
        "held-key": "rotation-conflict",
        "no-key": "key-not-found",
        "their-key": "not-managed",
    }
    assert world.run(keys="two-key").rotated == ["two-key"]
    assert world.run(keys=[]).counts()["rotated"] == 0
    with pytest.raises(InvalidKeyId):
        world.run(keys=["one-key", "Bad/Key"])


def test_a_token_is_retired_after_its_grace(world: World) -> None:
    """The previous version reads for the whole grace from the promotion, and is then retired."""
    first = world.adapter.create_key("api-token", spec="token")
    assert world.run(90 * DAY + timedelta(minutes=1)).rotated == ["api-token"]
    assert world.run(97 * DAY).retired == []
    assert world.adapter.get_key("api-token", "previous") == first
    assert world.run(98 * DAY).retired == ["api-token"]
    states = [v.state for v in world.adapter.store.describe("api-token", exact=True).versions]
    assert sorted(states) == [VersionState.CURRENT, VersionState.RETIRED]
    assert world.run(98 * DAY).retired == []


def test_what_encrypts_is_kept_for_ever(world: World) -> None:
    """By default an encryption key's first version still reads after ten rotations."""
    first = world.adapter.create_key("data-key")
    oldest = world.adapter.store.describe("data-key").current
    assert oldest is not None
    for number in range(1, 11):
        assert world.run(number * 91 * DAY).rotated == ["data-key"]
    summary = world.run(2000 * DAY, dry_run=True)
    assert {a.kind.value for a in summary.actions} == {"rotate"}
    assert world.adapter.get_key("data-key", oldest.id) == first
    assert len(world.adapter.store.describe("data-key", exact=True).versions) == 11


def test_retired_versions_go_by_policy_and_never_below_keep(world: World) -> None:
    """destroy-after counts from retirement, and keep versions always stay."""
    tags = {"daena.grace": "1d", "daena.destroy-after": "5d", "daena.rotate-after": "10d"}
    if world.adapter.store.can.destroy_means is None:
        with pytest.raises(ConfigError, match="can't destroy a single version"):
            world.adapter.create_key("api-token", spec="token", tags=tags)
        return
    world.adapter.create_key("api-token", spec="token", tags=tags)
    gone: list[str] = []
    released: list[str] = []
    for day in range(10, 60, 2):
        summary = world.run(day * DAY + timedelta(hours=1))
        assert summary.failed == []
        gone += summary.destroyed + summary.released
        released += summary.released
        versions = world.adapter.store.describe("api-token", exact=True).versions
        named = (v for v in versions if not v.unlabelled)
        kept = [v for v in named if v.state is not VersionState.DESTROYED]
        assert len(kept) >= 2 or day < 11
        assert len(kept) <= 4
    assert len(gone) >= 2
    assert bool(released) is not world.adapter.store.can.destroys_version


def test_a_retired_version_reads_only_where_that_is_declared(world: World) -> None:
    """A retired version reads only where the store declares that it does."""
    world.adapter.create_key("api-token", spec="token")
    old = world.adapter.store.describe("api-token").current
    assert old is not None
    world.run(91 * DAY)
    world.run(99 * DAY)
    if world.adapter.store.can.retired_readable is None:
        with pytest.raises(Exception, match="retired"):
            world.adapter.get_key("api-token", old.id)
    else:
        assert world.adapter.get_key("api-token", old.id)


def test_a_bad_policy_is_reported_on_every_run(world: World) -> None:
    """A key with a malformed tag fails with the tag and the form; the others are rotated."""
    world.adapter.create_key("good-key")
    world.adapter.create_key("bad-key")
    world.tag("bad-key", rotate_after="90")
    for _ in range(2):
        summary = world.run(91 * DAY)
        assert summary.failed == ["bad-key"]
        assert "daena.rotate-after is '90'" in str(summary.errors["bad-key"])
    assert world.adapter.store.describe("good-key", exact=True).previous is not None


def test_misspelt_managed_is_no_silence(world: World) -> None:
    """daena.managed=True is reported as failing, and the key is not changed."""
    world.foreign("odd-key", value(), {"daena.managed": "True"})
    before = world.state()
    summary = world.run(500 * DAY)
    assert summary.failed == ["odd-key"]
    assert world.state() == before


def test_a_version_from_the_future_is_an_error(world: World) -> None:
    """A key whose version is dated after now is reported, not rotated."""
    world.adapter.create_key("new-key")
    summary = world.run(timedelta(hours=-2))
    assert summary.failed == ["new-key"]
    assert "in the future" in str(summary.errors["new-key"])
    assert world.run(timedelta(minutes=-4)).failed == []


def test_adopting_never_rotates(world: World) -> None:
    """An adopted key keeps its value until first-due, which is the same at each adoption."""
    theirs = value()
    world.foreign("their-token", theirs)
    operations = Operations(world.adapter, world.log)
    due = operations.adopt("their-token", spec="token")
    assert world.adapter.get_key("their-token") == theirs
    # It was made a moment ago, so its own interval is the later of the two times.
    assert world.began + 89 * DAY <= due <= world.began + 91 * DAY
    until = due - world.began
    assert world.run(until - timedelta(minutes=6)).rotated == []
    assert world.run(until + timedelta(minutes=5)).rotated == ["their-token"]
    assert world.adapter.get_key("their-token", "previous") == theirs
    report = verify(world.log, world.adapter.store.inventory())
    assert {f.status for f in report.findings} == {"confirmed"}


@pytest.mark.parametrize(
    "material",
    [
        '{"username": "u", "password": "p"}',
        "[1, 2]",
        "ghp_" + "a" * 36,
        "AKIA" + "B" * 16,
        "xoxb-123",
        "-----BEGIN CERTIFICATE-----\n",
        "not base64!",
    ],
)
def test_adopt_refuses_what_it_could_only_break(world: World, material: str) -> None:
    """Third-party values, JSON and values not of the spec are refused; nothing changes."""
    world.foreign("their-key", material)
    before = world.state()
    with pytest.raises(ConfigError, match="their-key"):
        Operations(world.adapter, world.log).adopt("their-key", spec="aes-256")
    assert world.state() == before


def test_a_new_version_of_somebody_else_s(world: World) -> None:
    """A value put past us is seen as out-of-band, is the next base, and is kept like any other."""
    world.adapter.create_key("app-key")
    theirs = value()
    world.overwrite("app-key", theirs)
    assert world.run(91 * DAY).rotated == ["app-key"]
    assert world.adapter.get_key("app-key", "previous") == theirs
    report = verify(world.log, world.adapter.store.inventory())
    assert sorted(f.status for f in report.findings)[:1] == ["confirmed"]
    assert not report.ok


def test_the_seam_between_store_and_engine(world: World) -> None:
    """What is rotated through the adapter alone shows as out-of-band, as the docs say."""
    Operations(world.adapter, world.log).create("app-key")
    assert verify(world.log, world.adapter.store.inventory()).ok
    world.adapter.rotate_key("app-key")
    report = verify(world.log, world.adapter.store.inventory())
    assert sorted(f.status for f in report.findings) == ["confirmed", "out-of-band"]
    assert not report.ok


def test_a_hold_is_set_and_ended_through_the_log(world: World) -> None:
    """Between the two nothing changes the key, and both are in the log."""
    operations = Operations(world.adapter, world.log)
    operations.create("app-key")
    operations.hold("app-key")
    assert world.run(91 * DAY).held == ["app-key"]
    with pytest.raises(RotationConflict, match="on hold"):
        operations.rollback("app-key")
    operations.hold("app-key", world.began + 100 * DAY)
    assert world.run(99 * DAY).held == ["app-key"]
    assert world.run(101 * DAY).rotated == ["app-key"]
    operations.hold("app-key")
    operations.release("app-key")
    assert "daena.hold" not in world.adapter.store.describe("app-key").tags
    assert verify(world.log, world.adapter.store.inventory()).ok


def test_a_key_that_goes_while_the_store_is_listed_is_passed_over(world: World) -> None:
    """An inventory shows the others, with all their versions, and does not end there."""
    ids = {"a-key", "b-key", "c-key"}
    for key_id in sorted(ids):
        world.adapter.create_key(key_id)
        world.adapter.rotate_key(key_id)
    listing = world.adapter.store.inventory()
    first = next(listing)
    # The next one in the listing's order goes after it was listed and before it is looked at.
    gone, stays = sorted(ids - {first.id})
    world.erase(gone)
    seen = {key.id: key for key in (first, *listing)}
    assert [len(seen[key_id].versions) for key_id in (first.id, stays)] == [2, 2]


def test_closing_is_harmless(world: World) -> None:
    """A local store that was closed opens again at its next use."""
    made = world.adapter.create_key("app-key")
    if isinstance(world, LocalWorld):
        world.store.close()
    assert world.adapter.get_key("app-key") == made
