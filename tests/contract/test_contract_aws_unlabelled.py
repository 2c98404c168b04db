"""A key that never retires rotates on where the labels run out: its oldest versions lose theirs.

AWS removes versions without a label only while a secret has more than 100 versions, and none of the
last 24 hours (reference_limits.html). They read by their ids, and IncludeDeprecated lists them
(recorded: localstack, test_deprecated_secret_version_stage).
"""

import json
from collections import Counter
from datetime import datetime, timedelta

import pytest
from daena_kms.audit.verify import CONFIRMED, verify
from daena_kms.doctor.portable import keys
from daena_kms.engine import run
from daena_kms.errors import ConfigError, KeyNotFound, StoreUnavailable
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.names import mark, parse_version_id
from daena_kms.stores.aws.labels import MAX_LABELS
from daena_kms.stores.aws.room import KEPT_FOR_SURE, MAX_VERSIONS
from daena_kms.stores.rotation import rotate

from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, value

KEY = "app-key"
WHY = "seen in a public log"
READABLE = {VersionState.CURRENT, VersionState.PREVIOUS}


class Aged:
    """A key, its values by version id, and the time that has passed."""

    def __init__(self, aws: AwsWorld, spec: str = "aes-256", **tags: str) -> None:
        self.aws, self.now = aws, timedelta()
        given = {f"daena.{name.replace('_', '-')}": text for name, text in tags.items()}
        aws.operations().create(KEY, spec=spec, tags=given)
        self.values = {aws.current(KEY): aws.adapter.get_key(KEY)}

    def pass_(self, time: timedelta) -> None:
        """Let time pass, in the store as well."""
        self.now += time
        self.aws.wait(time)

    def rotate(self, times: int, every: timedelta = 91 * DAY) -> None:
        """Rotate so many times, without the log, which takes most of the time."""
        store = self.aws.adapter.store
        for _ in range(times):
            self.pass_(every)
            material = value(32)
            at = self.aws.at(self.now)
            made = rotate(store, store.describe(KEY), material, lambda at=at: at)  # type: ignore[misc] # mypy infers no default
            self.values[made] = material
            assert len(labels(self.aws)) <= MAX_LABELS

    def run(self, times: int, every: timedelta = 91 * DAY) -> None:
        """Rotate when due, so many times."""
        for _ in range(times):
            self.pass_(every)
            summary = self.aws.run(self.now)
            assert (summary.rotated, summary.errors) == ([KEY], {})
            self.values[summary.new_versions[KEY]] = self.aws.adapter.get_key(KEY)
            assert len(labels(self.aws)) <= MAX_LABELS

    def check(self) -> None:
        """Assert that every value reads by its id, and that each version shows as what it is."""
        for version, material in self.values.items():
            assert self.aws.adapter.get_key(KEY, version) == material
        shown = {v.id for v in self.aws.look(KEY).versions if v.state in READABLE}
        assert shown == set(self.values)


def labels(aws: AwsWorld) -> dict[str, str]:
    """Return the key's labels and the versions that they are on."""
    return aws.sim.secrets.secret(KEY).labels


def calls(aws: AwsWorld) -> list[str]:
    """Return the calls to the store since they were cleared, and forget them."""
    made = aws.store_calls()
    aws.sim.calls.clear()
    return made


def plan(aws: AwsWorld, after: timedelta) -> str:
    """Return what the plan says about the key."""
    (action,) = run(aws.adapter, None, aws.at(after), dry_run=True).actions
    return action.reason


def test_eighty_rotations_of_a_key_that_never_retires(aws: AwsWorld) -> None:
    """Each value reads by its id, the oldest show without a label, and the log confirms all."""
    key = Aged(aws)
    key.run(80)
    key.check()
    assert len(key.values) == 81
    shown = aws.look(KEY).versions
    unlabelled = [v.id for v in shown if v.unlabelled]
    assert unlabelled == [*key.values][: len(unlabelled)], "the oldest lose their labels"
    assert len(unlabelled) > 60
    assert not {*unlabelled} & {*labels(aws).values()}
    report = verify(aws.held(), aws.adapter.store.inventory())
    assert report.problems == []
    assert Counter(f.status for f in report.findings) == {CONFIRMED: 81}


def test_a_rotation_takes_one_call_more_and_only_where_labels_are_short(aws: AwsWorld) -> None:
    """One key on demand: 4, then 5; in a run: 3 and a share, then 4; to plan, a listing alone."""
    key = Aged(aws)
    key.rotate(10)
    calls(aws)
    aws.adapter.rotate_key(KEY)
    ample = calls(aws)
    assert len(ample) == 4, ample
    key.rotate(20)
    calls(aws)
    aws.adapter.rotate_key(KEY)
    short = calls(aws)
    assert sorted(set(short) - set(ample)) == ["ListSecretVersionIds"]
    assert len(short) == 5, short
    key.pass_(91 * DAY)
    assert aws.run(key.now).rotated == [KEY]
    assert Counter(calls(aws)) == Counter(["ListSecrets", *short])
    assert aws.run(key.now).actions == []
    assert calls(aws) == ["ListSecrets"]


def test_who_shows_what_has_lost_its_label(aws: AwsWorld) -> None:
    """A rollback, a look, and the words previous: each as with any other version."""
    key = Aged(aws)
    key.rotate(30)
    oldest, *_, newest = key.values
    (found,) = [v for v in aws.look(KEY).versions if v.id == oldest]
    assert (found.unlabelled, found.state) == (True, VersionState.PREVIOUS)
    assert found.superseded is not None
    assert aws.adapter.get_key(KEY, "previous") == [*key.values.values()][-2]
    made = aws.operations(key.now).rollback(KEY, oldest)
    assert made not in key.values
    assert aws.adapter.get_key(KEY) == key.values[oldest]
    key.values[made] = key.values[oldest]
    key.check()
    assert aws.adapter.rollback_key(KEY) == key.values[newest]
    assert aws.current(KEY) not in {oldest, newest}


def test_a_plan_and_the_doctor_warn_before_a_key_is_reported(aws: AwsWorld) -> None:
    """From 75 versions, with the rate; at 90 the key is reported and stays as it is."""
    key = Aged(aws)
    key.rotate(KEPT_FOR_SURE - 17)
    assert "versions" not in plan(aws, key.now)
    key.rotate(1)
    warned = plan(aws, key.now)
    assert "it has 75 versions, and the store is sure to keep 90" in warned
    assert "about 0.33 are added in 30 days, so there is room for about 1365 d" in warned
    (check,) = list(keys(run(aws.adapter, None, aws.at(key.now), dry_run=True)))[1:]
    assert (check.name, check.status.value) == (f"key {KEY}", "warning")
    assert "it has 75 versions" in check.found
    key.rotate(14)
    key.run(1)
    assert len(key.values) == KEPT_FOR_SURE
    key.pass_(91 * DAY)
    before = aws.state()
    for _ in range(2):
        summary = aws.run(key.now)
        assert summary.failed == [KEY]
        assert "it has 90, and is sure to keep 90" in str(summary.errors[KEY])
    for change in (aws.adapter.rotate_key, aws.adapter.rollback_key):
        with pytest.raises(ConfigError, match=r"no room.*daena\.grace.*new key"):
            change(KEY)
    assert "no room" in plan(aws, key.now)
    assert aws.state() == before
    key.check()


def test_an_emergency_finds_room_where_an_ordinary_rotation_finds_none(aws: AwsWorld) -> None:
    """Up to AWS's own limit; then it is refused, since a value of others could go for it."""
    key = Aged(aws)
    key.rotate(KEPT_FOR_SURE - 1)
    for _ in range(MAX_VERSIONS - KEPT_FOR_SURE):
        key.pass_(DAY)
        old = aws.current(KEY)
        summary = aws.run(key.now, keys=[KEY], compromised=True, reason=WHY)
        assert (summary.errors, summary.revoked_versions) == ({}, {KEY: [old]})
        key.values[aws.current(KEY)] = aws.adapter.get_key(KEY)
        assert len(labels(aws)) <= MAX_LABELS
    assert len(aws.sim.secrets.secret(KEY).versions) == MAX_VERSIONS
    for version, material in key.values.items():
        assert aws.adapter.get_key(KEY, version) == material
    leaked = [v for v in aws.look(KEY).versions if v.compromised]
    assert [v.state for v in leaked] == [VersionState.RETIRED] * 10
    summary = aws.run(key.now + DAY, keys=[KEY], compromised=True, reason=WHY)
    assert "no room" in str(summary.errors[KEY])


def test_a_mark_of_a_compromised_version_stays(aws: AwsWorld) -> None:
    """However many rotations follow: neither it, nor what is still to be revoked, is given up."""
    key = Aged(aws)
    old = aws.current(KEY)
    assert aws.run(DAY, keys=[KEY], compromised=True, reason=WHY).revoked == [KEY]
    key.values = {aws.current(KEY): aws.adapter.get_key(KEY)}
    key.rotate(40)
    key.check()
    found = aws.look(KEY).version(old)
    assert found is not None
    assert (found.state, found.compromised, found.unlabelled) == ("retired", True, False)
    # A label of the mark's form on an older version: it is revoked, not forgotten.
    version = [*key.values][30]
    aws.secrets.update_secret_version_stage(
        SecretId=KEY,
        VersionStage=f"daena-retired-20260101T000000Z-compromised-{mark(version)}",
        MoveToVersionId=version,
    )
    assert aws.run(key.now + DAY).revoked_versions == {KEY: [version]}


def test_versions_that_others_put_are_kept_like_ours(aws: AwsWorld) -> None:
    """Past us, again and again: each value stays, and shows as previous."""
    key = Aged(aws)
    for puts in (1, 2) * 8:
        for _ in range(puts):
            key.pass_(DAY)
            theirs = value(32)
            aws.overwrite(KEY, theirs)
            key.values[aws.current(KEY)] = theirs
        key.run(1)
    assert len(key.values) == 41
    shown = {v.id: v.state for v in aws.look(KEY).versions}
    assert set(shown) == set(key.values)
    for version, material in key.values.items():
        assert aws.adapter.get_key(KEY, version) == material
        # No label says of one of ours that was current until two were put past us.
        assert shown[version] in READABLE or parse_version_id(version)
    unlabelled = [v.state for v in aws.look(KEY).versions if v.unlabelled]
    assert set(unlabelled) == {VersionState.PREVIOUS}


def test_what_lost_a_race_is_not_offered(aws: AwsWorld) -> None:
    """With the labels short the loser has none: it is shown as abandoned, and nothing is lost."""
    key = Aged(aws)
    key.rotate(25)
    store = aws.adapter.store
    for _ in range(3):
        key.pass_(DAY)
        look = store.describe(KEY)
        loser = store.stage(look, value(), aws.at(key.now))
        winner = aws.run(key.now, keys=[KEY])
        assert winner.errors == {}
        key.values[aws.current(KEY)] = aws.adapter.get_key(KEY)
        store.abandon(look, loser)
        key.check()
        found = aws.look(KEY).version(loser.version_id)
        assert found is not None
        assert found.state is VersionState.ABANDONED
        with pytest.raises(KeyNotFound, match="never current"):
            aws.adapter.rollback_key(KEY, loser.version_id)
    key.run(3)
    key.check()


def test_tokens_rotate_on_while_their_retired_versions_fill_the_labels(aws: AwsWorld) -> None:
    """The retired give way first, and the retirement makes the room: no further call to rotate."""
    key = Aged(aws, "token")
    for _ in range(25):
        key.run(1)
        key.pass_(8 * DAY)
        assert aws.run(key.now).retired == [KEY]
        calls(aws)
    aws.adapter.rotate_key(KEY)
    assert len(calls(aws)) == 4
    for version, material in key.values.items():
        assert aws.adapter.get_key(KEY, version) == material


def test_a_version_in_its_grace_keeps_its_label(aws: AwsWorld) -> None:
    """Rotated by hand more often than grace allows: refused with what helps, which then helps."""
    Aged(aws, "token")
    runs = (aws.run(timedelta(hours=hour), keys=[KEY]) for hour in range(1, 20))
    refused = next(summary for summary in runs if summary.failed)
    assert "Wait until the grace of the oldest version is over" in str(refused.errors[KEY])
    retained = [v for v in aws.look(KEY).versions if v.state in READABLE]
    assert not any(v.unlabelled for v in retained)
    assert len(retained) >= 16
    summary = aws.run(91 * DAY)
    assert (summary.rotated, summary.retired, summary.errors) == ([KEY], [KEY], {})


def test_what_the_message_advises_helps_in_the_next_run(aws: AwsWorld) -> None:
    """A key that gets a grace while its labels are short is retired and rotated by one run."""
    key = Aged(aws)
    key.rotate(40)
    aws.tag(KEY, grace="30d", destroy_after="30d")
    key.pass_(91 * DAY)
    summary = aws.run(key.now)
    assert (summary.rotated, summary.retired, summary.errors) == ([KEY], [KEY], {})
    key.pass_(91 * DAY)
    summary = aws.run(key.now)
    assert (summary.rotated, summary.released, summary.errors) == ([KEY], [KEY], {})
    # What has no name left is neither retired again nor offered as previous.
    assert aws.run(key.now).actions == []
    for version, material in key.values.items():
        assert aws.adapter.get_key(KEY, version) == material


def test_a_released_version_is_shown_and_compared(aws: AwsWorld) -> None:
    """It reads by its id while the secret has no more than 100 versions; the log confirms it."""
    key = Aged(aws, "token", grace="1d", destroy_after="1d", rotate_after="30d")
    key.run(4, 31 * DAY)
    oldest = next(iter(key.values))
    assert oldest not in labels(aws).values()
    found = aws.look(KEY).version(oldest)
    assert found is not None
    assert (found.state, found.unlabelled) == (VersionState.PREVIOUS, True)
    assert aws.adapter.get_key(KEY, oldest) == key.values[oldest]
    report = verify(aws.held(), aws.adapter.store.inventory())
    assert report.problems == []
    assert {f.version for f in report.findings} >= {*key.values}
    assert {f.status for f in report.findings} == {CONFIRMED}


@pytest.mark.parametrize("name", ["destroy", "retire"])
def test_what_lost_its_answer_and_then_its_label_is_done(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A version without a label is over, for a run that looks what became of it."""
    key = Aged(aws, "token", grace="1d", destroy_after="1d", rotate_after="30d")
    key.run(3, 31 * DAY)
    store, change = aws.adapter.store, getattr(aws.adapter.store, name)

    def lost(look: Key, version: str, now: datetime) -> None:
        change(look, version, now)
        for label in [s for s, holder in labels(aws).items() if holder == version]:
            del labels(aws)[label]
        raise StoreUnavailable("down", key_id=KEY, todo="Wait")

    key.pass_(10 * DAY)
    with monkeypatch.context() as patch:
        patch.setattr(store, name, lost)
        summary = aws.run(key.now)
    (version,) = {action.version for action in summary.actions if action.kind == name}
    assert summary.failed == [KEY]
    aws.run(key.now + timedelta(hours=2))
    documents = [json.loads(aws.log.get(entry.name) or b"{}") for entry in aws.log.entries("log/")]
    results = [r for document in documents for r in document.get("results", ())]
    became = [r["result"] for r in results if r.get("recovered") and r.get("version") == version]
    assert became == ["done"]


def test_versions_of_before_the_adoption_are_not_out_of_band(aws: AwsWorld) -> None:
    """Those that lost their labels before we came are shown, and the adoption explains them."""
    aws.foreign(KEY, value(32))
    for _ in range(5):
        aws.wait(DAY)
        aws.overwrite(KEY, value(32))
    aws.operations(5 * DAY).adopt(KEY, spec="token")
    aws.wait(100 * DAY)
    assert aws.run(200 * DAY).rotated == [KEY]
    report = verify(aws.held(), aws.adapter.store.inventory())
    assert Counter(f.status for f in report.findings) == {CONFIRMED: 7}
    # One that is put past us later is, also once it has no label any more.
    for _ in range(3):
        aws.wait(DAY)
        aws.overwrite(KEY, value(32))
    report = verify(aws.held(), aws.adapter.store.inventory())
    assert Counter(f.status for f in report.findings)["out-of-band"] == 3


def test_the_block_of_a_version_whose_label_went_on_hits_no_other(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block is by the version's mark, which stands in the label that the new version has."""
    monkeypatch.setenv("DAENA_KMS_AWS_BLOCK_COMPROMISED", "true")
    aws.adapter = aws.again()
    key = Aged(aws)
    key.rotate(20)
    donor = next(
        v
        for v in key.values
        if any(s.endswith(mark(v)) for s in labels(aws)) and v not in labels(aws).values()
    )
    aws.adapter.store.revoke(aws.look(KEY), donor, aws.at(key.now))
    aws.sim.secrets.store.stages_of_the_version = True
    policy = json.loads(aws.sim.secrets.secret(KEY).policy or "{}")
    assert mark(donor) in json.dumps(policy)
    for version, material in key.values.items():
        if version != donor:
            assert aws.adapter.get_key(KEY, version) == material
    assert aws.look(KEY).version(donor).revoked  # type: ignore[union-attr] # it is there
