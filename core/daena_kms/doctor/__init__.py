"""Checks everything that rotations need, and says how to fix what is not in order.

It changes nothing: no key, no setting, no permission. What can't be told without a change, or from
here, is reported as unknown, with how to find out: ``ok`` and ``wrong`` need evidence.
"""

from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta

from daena_kms.audit import open_log
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import portable
from daena_kms.doctor.base import Exam, ServerTime
from daena_kms.doctor.check import Check, Status, failed, guarded
from daena_kms.doctor.factory import exam_of, place_of
from daena_kms.doctor.log import READ, log_checks
from daena_kms.engine.clock import RunClock
from daena_kms.errors import DaenaKMSError
from daena_kms.sdk.errors import WrongClock
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

__all__ = ["EXPECTED", "Check", "Status", "examine"]

PROTECTION = "audit log: deletion protection"
#: How long after a scheduled run the next must have ended: a daily schedule, and two hours.
EXPECTED = timedelta(hours=26)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def examine(
    provider: str | None = None,
    *,
    expected: timedelta = EXPECTED,
    now: Callable[[], datetime] = _utc_now,
    function_url: str | None = None,
) -> Iterator[Check]:
    """Yield every finding, in the order in which they are best fixed.

    An error of a check is a finding itself.

    Args:
        provider: as for :func:`get_cloud_kms_adapter`.
        expected: how long after a scheduled run the next must have ended.
        now: this machine's clock.
        function_url: on AWS, the address of the function that answers the HTTP API.

    Raises:
        ConfigError: ``function_url`` is not one of Lambda's, or the store is not AWS.
    """
    settings = Settings.load()
    yield from guarded("settings: changes", lambda: portable.switches(settings))
    yield from guarded("settings: bits", lambda: portable.bits(settings))
    yield from guarded("settings: notifications", lambda: portable.notifications(settings))
    adapter, usable = None, False
    try:
        adapter = get_cloud_kms_adapter(provider)
        yield Check("settings: store", Status.OK, f"the store is {adapter.store.provider}")
    except DaenaKMSError as error:
        yield failed("settings: store", error)
    if adapter is not None:
        usable = yield from _store(adapter, exam_of(adapter, now, function_url), now)
    try:
        log = open_log()
        place = place_of(log)
        yield Check("settings: audit log", Status.OK, f"the audit log is {log.url}")
    except DaenaKMSError as error:
        yield failed("settings: audit log", error)
        return
    known = None if adapter is None else adapter.store.provider
    store = adapter.store if adapter is not None and usable else None
    found = guarded(READ, lambda: log_checks(log, place, known, now(), expected, store))
    read = False
    for check in found:
        read = read or (check.name, check.status) == (READ, Status.OK)
        yield check
    yield from guarded(PROTECTION, lambda: place.protection(read=read), Status.UNKNOWN)


def _store(
    adapter: CloudKMSAdapter, exam: Exam, now: Callable[[], datetime]
) -> Generator[Check, None, bool]:
    """Yield the findings about the store, and return whether it can be used."""
    usable = True
    for check in guarded("credentials", lambda: _credentials(exam, now)):
        usable = usable and check.status is not Status.WRONG
        yield check
    if not usable:
        return False
    yield from guarded("clock", lambda: [_clock(exam)], Status.UNKNOWN)
    yield from _keys(adapter, exam, now)
    yield from guarded("encryption", exam.encryption, Status.UNKNOWN)
    # Both have one name because they used to be one check, and scripts may look for it.
    yield from guarded("places", exam.infrastructure, Status.UNKNOWN)
    yield from guarded("places", exam.claims)
    return True


def _clock(exam: Exam) -> Check:
    return portable.clock(exam.clock()) if exam.has_clock else portable.no_other_clock()


def _credentials(exam: Exam, now: Callable[[], datetime]) -> Iterator[Check]:
    """Yield who we are; and the clock first, if that is why we are refused."""
    try:
        yield from exam.credentials()
    except WrongClock as error:
        # Nothing else is asked of a store that refuses us, so the refusal itself is measured.
        if error.theirs is None:
            yield failed("clock", error)
        else:
            yield portable.clock(ServerTime("the store", error.theirs, now()))
        raise


def _keys(adapter: CloudKMSAdapter, exam: Exam, now: Callable[[], datetime]) -> Iterator[Check]:
    summary, ids = None, []
    try:
        summary = portable.survey(adapter, RunClock(now()))
        ids = portable.managed(summary)
        yield Check("keys: list", Status.OK, "the store can be listed")
    except DaenaKMSError as error:
        yield failed("keys: list", error)
    yield from guarded("permissions", lambda: exam.permissions(ids), Status.UNKNOWN)
    if summary is not None:
        yield from portable.keys(summary)
