"""An emergency against others: who loses, who comes in between, and twenty at once."""

from datetime import timedelta

import pytest
from daena_kms.errors import ConfigError, NotManaged, RotationConflict, StoreUnavailable
from daena_kms.rules.model import Key, VersionState

from tests.faults.at_once import at_once
from tests.faults.operations_emergency import lived, states
from tests.worlds.base import DAY, FaultWorld

KEY = "app-key"
WHY = "seen in a public log"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RETIRED, CURRENT, PREVIOUS = VersionState.RETIRED, VersionState.CURRENT, VersionState.PREVIOUS


def test_a_rotation_that_failed_retires_nothing_and_is_made_up_for(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current version is never retired; both results say so, and the next run does both."""
    world.operations().create(KEY)
    old = world.current(KEY)

    def stage(*_: object) -> None:
        raise ConfigError("it refuses", key_id=KEY, todo="Mend it")

    with monkeypatch.context() as patch:
        patch.setattr(world.adapter.store, "stage", stage)
        summary = world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert (summary.failed, summary.skipped, summary.revoked) == ([KEY], [KEY], [])
    assert (
        f"version {old} is not retired: it is current, because the rotation failed"
        in summary.notes[KEY]
    )
    assert "the next run rotates away from it, and retires it" in summary.notes[KEY]
    assert states(world) == [CURRENT]
    assert world.look(KEY).versions[0].compromised
    summary = world.run(HOUR + MINUTE)
    assert (summary.rotated, summary.revoked_versions) == ([KEY], {KEY: [old]})
    assert states(world) == [RETIRED, CURRENT]
    assert world.run(HOUR + 2 * MINUTE).actions == []


def test_a_loser_s_leaked_version_is_retired_all_the_same(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else rotates in between: what the person knew as leaked is previous then."""
    world.operations().create(KEY, spec="token")
    old = world.current(KEY)
    stage, other = world.adapter.store.stage, list[bool]()

    def after_another(key: Key, material: str, now: object) -> object:
        if not other:
            other.append(True)
            world.run(HOUR, keys=[KEY])
        return stage(key, material, now)  # type: ignore[arg-type] # as it came

    monkeypatch.setattr(world.adapter.store, "stage", after_another)
    summary = world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert (summary.revoked_versions, summary.failed) == ({KEY: [old]}, [])
    if not summary.rotated:
        assert "already rotated" in summary.notes[KEY]
        assert f"version {old} is retired" in summary.notes[KEY]
    assert lived(world)[0].id == old
    assert states(world)[0] == RETIRED
    assert world.run(2 * HOUR).actions == []


def test_a_hold_set_in_between_keeps_the_old_version(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set between the rotation and the retirement: told as a failure, and owed."""
    world.operations().create(KEY)
    promote, store = world.adapter.store.promote, world.adapter.store

    def then_held(key: Key, staged: object, now: object) -> str:
        made = promote(key, staged, now)  # type: ignore[arg-type] # as it came
        store.tag(store.describe(KEY), {"daena.hold": "true"})
        return made

    with monkeypatch.context() as patch:
        patch.setattr(store, "promote", then_held)
        summary = world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert (summary.rotated, summary.failed) == ([KEY], [KEY])
    assert isinstance(summary.errors[KEY], RotationConflict)
    world.operations(2 * HOUR).release(KEY)
    assert world.run(3 * HOUR).revoked == [KEY]


def test_a_key_taken_out_of_management_in_between(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told that its old version is not retired."""
    world.operations().create(KEY)
    promote, store = world.adapter.store.promote, world.adapter.store

    def then_let_go(key: Key, staged: object, now: object) -> str:
        made = promote(key, staged, now)  # type: ignore[arg-type] # as it came
        store.tag(store.describe(KEY), {"daena.managed": "false"})
        return made

    monkeypatch.setattr(store, "promote", then_let_go)
    summary = world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert isinstance(summary.errors[KEY], NotManaged)
    assert "is not retired" in str(summary.errors[KEY])


def test_many_emergencies_at_once(calm: FaultWorld) -> None:
    """Each rotates at most once; afterwards one version is current, and every other one retired."""
    calm.operations().create(KEY, spec="token")
    first = calm.current(KEY)
    summaries = at_once(
        [lambda: calm.run(HOUR, keys=[KEY], compromised=True, reason=WHY) for _ in range(20)]
    )
    rotated = 0
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        rotated += len(summary.rotated + summary.finished)
        done = summary.revoked or summary.skipped
        assert done or isinstance(summary.errors[KEY], StoreUnavailable)
    assert 1 <= rotated == len(lived(calm)) - 1
    later = HOUR + 17 * MINUTE
    # One that looked late meant what was current by then; if it was too busy, a run ends it.
    ended = calm.run(later)
    assert ended.failed == []
    rotated += len(ended.rotated + ended.finished)
    assert states(calm) == [RETIRED] * rotated + [CURRENT]
    assert lived(calm)[0].id == first
    assert calm.adapter.get_key(KEY)
    assert calm.run(later + MINUTE).actions == []
    assert calm.verify().ok


def test_emergencies_against_scheduled_runs(calm: FaultWorld) -> None:
    """Whoever wins, what each was asked to retire is retired, and the current version reads."""
    calm.operations().create(KEY, spec="token")
    later = 91 * DAY
    answers = at_once(
        [
            lambda n=number: (  # type: ignore[misc] # mypy infers no default
                calm.run(later, keys=[KEY], compromised=True, reason=WHY)
                if n % 2
                else calm.run(later)
            )
            for number in range(20)
        ]
    )
    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    assert calm.run(later + 17 * MINUTE).failed == []
    found = {v.id: v.state for v in lived(calm)}
    asked = {
        action.version
        for summary in answers
        if not isinstance(summary, BaseException)
        for action in summary.actions
        if action.revokes
    }
    assert {found[str(version)] for version in asked} == {RETIRED}
    assert list(found.values()).count(CURRENT) == 1
    assert calm.adapter.get_key(KEY)
    assert calm.run(later + 18 * MINUTE).actions == []
    assert calm.verify().ok
