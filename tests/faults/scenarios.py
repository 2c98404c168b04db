"""What is done under faults: how the store gets there, what is done, and how it is done again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from daena_kms.audit.verify import OUT_OF_BAND, UNCONFIRMED, verify
from daena_kms.errors import DaenaKMSError, KeyExists, KeyNotFound, NotManaged
from daena_kms.model import VersionState
from daena_kms.operations import Operations

from tests.contract.harness import DAY, Harness, value

KEY = "app-token"
_HOUR = timedelta(hours=1)
_TOKEN = {"daena.rotate-after": "10d", "daena.grace": "1d", "daena.destroy-after": "5d"}
_NEVER = {VersionState.PENDING, VersionState.ABANDONED}


@dataclass(frozen=True)
class Scenario:
    """One operation. ``idle`` is when nothing more is due."""

    name: str
    prepare: Callable[[Harness], object]
    act: Callable[[Harness], object]
    done: Callable[[Harness], bool]
    idle: timedelta = timedelta()

    def again(self, harness: Harness) -> None:
        """Do what a scheduler or a person does next: the same again, unless it is done."""
        harness.run(self.idle)
        if not self.done(harness):
            self.act(harness)


def operations(harness: Harness, after: timedelta = timedelta()) -> Operations:
    """Return audited operations as if this time had passed."""
    return Operations(harness.adapter, harness.log, now=harness.began + after)


def _create(harness: Harness) -> object:
    return operations(harness).create(KEY, spec="token", tags=_TOKEN)


def _exists(harness: Harness) -> bool:
    try:
        return bool(harness.adapter.get_key(KEY))
    except KeyNotFound:
        return False


def _created_again(harness: Harness) -> None:
    try:
        _create(harness)
    except KeyExists:
        if not _exists(harness):
            raise


def _rotated(harness: Harness) -> None:
    _create(harness)
    harness.run(10 * DAY + _HOUR)


def _retired(harness: Harness) -> None:
    _rotated(harness)
    harness.run(12 * DAY)
    harness.run(21 * DAY)


def _adoptable(harness: Harness) -> None:
    harness.foreign(KEY, value())


def _adopt(harness: Harness) -> None:
    try:
        operations(harness).adopt(KEY, spec="token", tags=_TOKEN)
    except NotManaged:
        if not _managed(harness):
            raise


def _managed(harness: Harness) -> bool:
    return harness.adapter.list_keys() == [KEY]


def _deleted(harness: Harness) -> None:
    _create(harness)
    operations(harness).delete(KEY)


def _states(harness: Harness) -> list[VersionState]:
    versions = harness.adapter.store.describe(KEY).versions
    return [v.state for v in versions if v.state not in _NEVER]


def _count(harness: Harness, *states: VersionState) -> int:
    return sum(state in states for state in _states(harness))


def _rolled_back(harness: Harness) -> bool:
    return len(_states(harness)) == 3


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("create", lambda _: None, _created_again, _exists),
        Scenario(
            "rotate",
            _create,
            lambda h: h.run(10 * DAY + _HOUR),
            lambda h: len(_states(h)) == 2,
            10 * DAY + _HOUR,
        ),
        Scenario(
            "rotate-named",
            _create,
            lambda h: h.run(DAY, keys=[KEY]),
            lambda h: len(_states(h)) == 2,
            DAY,
        ),
        Scenario(
            "retire",
            _rotated,
            lambda h: h.run(12 * DAY),
            lambda h: _count(h, VersionState.RETIRED) == 1,
            12 * DAY,
        ),
        Scenario(
            "destroy-and-retire",
            _retired,
            lambda h: h.run(23 * DAY),
            lambda h: (
                _count(h, VersionState.RETIRED) == 1 and _count(h, VersionState.PREVIOUS) == 0
            ),
            23 * DAY,
        ),
        Scenario(
            "rollback",
            _rotated,
            lambda h: operations(h, 11 * DAY).rollback(KEY),
            _rolled_back,
            11 * DAY,
        ),
        Scenario("adopt", _adoptable, _adopt, _managed),
        Scenario("delete", _create, lambda h: operations(h).delete(KEY), lambda h: not _exists(h)),
        Scenario("restore", _deleted, lambda h: operations(h).restore(KEY), _exists),
    )
}


def check(harness: Harness, scenario: Scenario) -> None:
    """Assert that the key is right, that the log proves it, and that nothing more happens."""
    assert scenario.done(harness)
    key = harness.adapter.store.describe(KEY)
    lived = [v for v in key.versions if v.state not in _NEVER]
    bases = [v.base for v in lived if v.base is not None]
    assert len(bases) == len(set(bases)), "two versions of one base became current"
    assert sum(v.state is VersionState.CURRENT for v in lived) == 1
    for version in lived:
        if key.deleted is None and version.state in {VersionState.CURRENT, VersionState.PREVIOUS}:
            assert harness.adapter.get_key(KEY, version.id)
    harness.run(scenario.idle)
    report = verify(harness.log, harness.adapter.store.scan())
    assert report.problems == []
    assert {f.status for f in report.findings} & {OUT_OF_BAND, UNCONFIRMED} == set()
    before = harness.state()
    summary = harness.run(scenario.idle)
    assert [*summary.rotated, *summary.finished, *summary.failed] == []
    assert harness.state() == before


def attempt(act: Callable[[Harness], object], harness: Harness) -> None:
    """Do it; what breaks is the test's own doing."""
    try:
        act(harness)
    except DaenaKMSError:
        return
