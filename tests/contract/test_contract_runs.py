"""The contract of a run, the same for every store: what is due, kept, and left alone."""

from datetime import timedelta

import pytest
from daena_kms.audit.verify import verify
from daena_kms.errors import ConfigError, InvalidKeyId, RotationConflict
from daena_kms.operations import Operations
from daena_kms.rules.model import VersionState

from tests.contract.harness import DAY, Harness, LocalHarness, value


def test_only_what_is_due_is_rotated(harness: Harness) -> None:
    """A run rotates due keys, once, and a second run right after finds nothing."""
    old = harness.adapter.create_key("due-key")
    harness.adapter.create_key("fresh-key", tags={"daena.rotate-after": "365d"})
    assert harness.run().counts()["rotated"] == 0
    summary = harness.run(91 * DAY)
    assert (summary.rotated, summary.failed, summary.keys) == (["due-key"], [], 2)
    assert harness.adapter.get_key("due-key") != old
    assert harness.adapter.get_key("due-key", "previous") == old
    assert harness.run(91 * DAY).rotated == []


def test_a_late_key_rotates_once_and_counts_from_then(harness: Harness) -> None:
    """A key that missed ten intervals is rotated once, and is next due one interval later."""
    harness.adapter.create_key("late-key", tags={"daena.rotate-after": "10d"})
    assert harness.run(100 * DAY).rotated == ["late-key"]
    assert harness.run(109 * DAY).rotated == []
    assert harness.run(111 * DAY).rotated == ["late-key"]


def test_a_dry_run_changes_nothing(harness: Harness) -> None:
    """A dry run plans with reasons; neither the store nor the log changes."""
    harness.adapter.create_key("due-key")
    before = harness.state()
    summary = harness.run(92 * DAY, dry_run=True)
    assert [(a.key_id, a.kind.value) for a in summary.actions] == [("due-key", "rotate")]
    assert summary.actions[0].reason.endswith("last rotated 92 d ago, rotate-after 90 d")
    assert summary.rotated == []
    assert harness.state() == before
    assert harness.log.entries("log/") == []


def test_named_keys_are_rotated_due_or_not(harness: Harness) -> None:
    """Naming keys rotates them and no other; names that can't be are reported, each by itself."""
    for key_id in ("one-key", "two-key", "held-key"):
        harness.adapter.create_key(key_id)
    harness.tag("held-key", hold="true")
    harness.foreign("their-key", value())
    summary = harness.run(keys=["one-key", "one-key", "no-key", "held-key", "their-key"])
    assert summary.rotated == ["one-key"]
    assert summary.failed == ["held-key", "no-key", "their-key"]
    codes = {key_id: error.code for key_id, error in summary.errors.items()}
    assert codes == {
        "held-key": "rotation-conflict",
        "no-key": "key-not-found",
        "their-key": "not-managed",
    }
    assert harness.run(keys="two-key").rotated == ["two-key"]
    assert harness.run(keys=[]).counts()["rotated"] == 0
    with pytest.raises(InvalidKeyId):
        harness.run(keys=["one-key", "Bad/Key"])


def test_a_token_is_retired_after_its_grace(harness: Harness) -> None:
    """The previous version reads for the whole grace from the promotion, and is then retired."""
    first = harness.adapter.create_key("api-token", spec="token")
    assert harness.run(90 * DAY + timedelta(minutes=1)).rotated == ["api-token"]
    assert harness.run(97 * DAY).retired == []
    assert harness.adapter.get_key("api-token", "previous") == first
    assert harness.run(98 * DAY).retired == ["api-token"]
    states = [v.state for v in harness.adapter.store.describe("api-token", exact=True).versions]
    assert sorted(states) == [VersionState.CURRENT, VersionState.RETIRED]
    assert harness.run(98 * DAY).retired == []


def test_what_encrypts_is_kept_for_ever(harness: Harness) -> None:
    """By default an encryption key's first version still reads after ten rotations."""
    first = harness.adapter.create_key("data-key")
    oldest = harness.adapter.store.describe("data-key").current
    assert oldest is not None
    for number in range(1, 11):
        assert harness.run(number * 91 * DAY).rotated == ["data-key"]
    summary = harness.run(2000 * DAY, dry_run=True)
    assert {a.kind.value for a in summary.actions} == {"rotate"}
    assert harness.adapter.get_key("data-key", oldest.id) == first
    assert len(harness.adapter.store.describe("data-key", exact=True).versions) == 11


def test_retired_versions_go_by_policy_and_never_below_keep(harness: Harness) -> None:
    """destroy-after counts from retirement, and keep versions always stay."""
    tags = {"daena.grace": "1d", "daena.destroy-after": "5d", "daena.rotate-after": "10d"}
    if harness.adapter.store.can.destroy_means is None:
        with pytest.raises(ConfigError, match="can't destroy a single version"):
            harness.adapter.create_key("api-token", spec="token", tags=tags)
        return
    harness.adapter.create_key("api-token", spec="token", tags=tags)
    gone: list[str] = []
    released: list[str] = []
    for day in range(10, 60, 2):
        summary = harness.run(day * DAY + timedelta(hours=1))
        assert summary.failed == []
        gone += summary.destroyed + summary.released
        released += summary.released
        versions = harness.adapter.store.describe("api-token", exact=True).versions
        kept = [v for v in versions if v.state is not VersionState.DESTROYED]
        assert len(kept) >= 2 or day < 11
        assert len(kept) <= 4
    assert len(gone) >= 2
    assert bool(released) is not harness.adapter.store.can.destroys_version


def test_a_retired_version_reads_only_where_that_is_declared(harness: Harness) -> None:
    """A retired version reads only where the store declares that it does."""
    harness.adapter.create_key("api-token", spec="token")
    old = harness.adapter.store.describe("api-token").current
    assert old is not None
    harness.run(91 * DAY)
    harness.run(99 * DAY)
    if harness.adapter.store.can.retired_readable is None:
        with pytest.raises(Exception, match="retired"):
            harness.adapter.get_key("api-token", old.id)
    else:
        assert harness.adapter.get_key("api-token", old.id)


def test_a_bad_policy_is_reported_on_every_run(harness: Harness) -> None:
    """A key with a malformed tag fails with the tag and the form; the others are rotated."""
    harness.adapter.create_key("good-key")
    harness.adapter.create_key("bad-key")
    harness.tag("bad-key", rotate_after="90")
    for _ in range(2):
        summary = harness.run(91 * DAY)
        assert summary.failed == ["bad-key"]
        assert "daena.rotate-after is '90'" in str(summary.errors["bad-key"])
    assert harness.adapter.store.describe("good-key", exact=True).previous is not None


def test_misspelt_managed_is_no_silence(harness: Harness) -> None:
    """daena.managed=True is reported as failing, and the key is not changed."""
    harness.foreign("odd-key", value(), {"daena.managed": "True"})
    before = harness.state()
    summary = harness.run(500 * DAY)
    assert summary.failed == ["odd-key"]
    assert harness.state() == before


def test_a_version_from_the_future_is_an_error(harness: Harness) -> None:
    """A key whose version is dated after now is reported, not rotated."""
    harness.adapter.create_key("new-key")
    summary = harness.run(timedelta(hours=-2))
    assert summary.failed == ["new-key"]
    assert "in the future" in str(summary.errors["new-key"])
    assert harness.run(timedelta(minutes=-4)).failed == []


def test_adopting_never_rotates(harness: Harness) -> None:
    """An adopted key keeps its value until first-due, which is the same at each adoption."""
    theirs = value()
    harness.foreign("their-token", theirs)
    operations = Operations(harness.adapter, harness.log)
    due = operations.adopt("their-token", spec="token")
    assert harness.adapter.get_key("their-token") == theirs
    # It was made a moment ago, so its own interval is the later of the two times.
    assert harness.began + 89 * DAY <= due <= harness.began + 91 * DAY
    until = due - harness.began
    assert harness.run(until - timedelta(minutes=5)).rotated == []
    assert harness.run(until + timedelta(minutes=5)).rotated == ["their-token"]
    assert harness.adapter.get_key("their-token", "previous") == theirs
    report = verify(harness.log, harness.adapter.store.inventory())
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
def test_adopt_refuses_what_it_could_only_break(harness: Harness, material: str) -> None:
    """Third-party values, JSON and values not of the spec are refused; nothing changes."""
    harness.foreign("their-key", material)
    before = harness.state()
    with pytest.raises(ConfigError, match="their-key"):
        Operations(harness.adapter, harness.log).adopt("their-key", spec="aes-256")
    assert harness.state() == before


def test_a_new_version_of_somebody_else_s(harness: Harness) -> None:
    """A value put past us is seen as out-of-band, is the next base, and is kept like any other."""
    harness.adapter.create_key("app-key")
    theirs = value()
    harness.overwrite("app-key", theirs)
    assert harness.run(91 * DAY).rotated == ["app-key"]
    assert harness.adapter.get_key("app-key", "previous") == theirs
    report = verify(harness.log, harness.adapter.store.inventory())
    assert sorted(f.status for f in report.findings)[:1] == ["confirmed"]
    assert not report.ok


def test_the_seam_between_store_and_engine(harness: Harness) -> None:
    """What is rotated through the adapter alone shows as out-of-band, as the docs say."""
    Operations(harness.adapter, harness.log).create("app-key")
    assert verify(harness.log, harness.adapter.store.inventory()).ok
    harness.adapter.rotate_key("app-key")
    report = verify(harness.log, harness.adapter.store.inventory())
    assert sorted(f.status for f in report.findings) == ["confirmed", "out-of-band"]
    assert not report.ok


def test_a_hold_is_set_and_ended_through_the_log(harness: Harness) -> None:
    """Between the two nothing changes the key, and both are in the log."""
    operations = Operations(harness.adapter, harness.log)
    operations.create("app-key")
    operations.hold("app-key")
    assert harness.run(91 * DAY).held == ["app-key"]
    with pytest.raises(RotationConflict, match="on hold"):
        operations.rollback("app-key")
    operations.hold("app-key", harness.began + 100 * DAY)
    assert harness.run(99 * DAY).held == ["app-key"]
    assert harness.run(101 * DAY).rotated == ["app-key"]
    operations.hold("app-key")
    operations.release("app-key")
    assert "daena.hold" not in harness.adapter.store.describe("app-key").tags
    assert verify(harness.log, harness.adapter.store.inventory()).ok


def test_a_key_that_goes_while_the_store_is_listed_is_passed_over(harness: Harness) -> None:
    """An inventory shows the others, with all their versions, and does not end there."""
    ids = {"a-key", "b-key", "c-key"}
    for key_id in sorted(ids):
        harness.adapter.create_key(key_id)
        harness.adapter.rotate_key(key_id)
    listing = harness.adapter.store.inventory()
    first = next(listing)
    # The next one in the listing's order goes after it was listed and before it is looked at.
    gone, stays = sorted(ids - {first.id})
    harness.erase(gone)
    seen = {key.id: key for key in (first, *listing)}
    assert [len(seen[key_id].versions) for key_id in (first.id, stays)] == [2, 2]


def test_closing_is_harmless(harness: Harness) -> None:
    """A local store that was closed opens again at its next use."""
    made = harness.adapter.create_key("app-key")
    if isinstance(harness, LocalHarness):
        harness.close()
    assert harness.adapter.get_key("app-key") == made
