"""The checks that are the same on every store: the settings, the clock and the keys."""

from collections.abc import Iterator
from datetime import timedelta

from daena_kms.doctor.base import ServerTime
from daena_kms.doctor.check import Check, Status
from daena_kms.engine import run
from daena_kms.engine.clock import RunClock
from daena_kms.notify import check_endpoint
from daena_kms.rules.due import CLOCK_SKEW
from daena_kms.rules.plan import Kind
from daena_kms.rules.strength import DEFAULT_MIN_BITS, MIN_BITS_VARIABLE, read_min_bits
from daena_kms.rules.summary import Summary
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

#: The ``Date`` of an answer has no fractions of a second, and the answer takes time to arrive.
_NOISE = timedelta(seconds=2)


def switches(settings: Settings) -> Iterator[Check]:
    """Yield whether changes are switched off."""
    name = "settings: changes"
    if settings.paused:
        todo = "Unset DAENA_KMS_PAUSED to allow changes"
        yield Check(name, Status.WARNING, "switched off: nothing is rotated", todo)
    else:
        yield Check(name, Status.OK, "not switched off")


def bits(settings: Settings) -> Iterator[Check]:
    """Yield that values may be easy to guess, if the deployment allows that."""
    text = settings.get(MIN_BITS_VARIABLE)
    if text is not None and read_min_bits(text) < DEFAULT_MIN_BITS:
        found = f"{MIN_BITS_VARIABLE} allows values of {text} bits of entropy"
        todo = f"Remove it where consumers take values of {DEFAULT_MIN_BITS} bits"
        yield Check("settings: bits", Status.WARNING, found, todo)


def notifications(settings: Settings) -> Iterator[Check]:
    """Yield whether events may be sent to the endpoint. None is sent."""
    name = "settings: notifications"
    if settings.get("DAENA_KMS_ENDPOINT") is None:
        yield Check(name, Status.OK, "DAENA_KMS_ENDPOINT is not set: no event is sent")
        return
    from daena_kms.notify.wire import look_up

    try:
        check_endpoint(settings, look_up)
    except OSError as error:
        found = f"its host can't be looked up ({type(error).__name__})"
        yield Check(name, Status.UNKNOWN, found, "Check the name in DAENA_KMS_ENDPOINT, and DNS")
        return
    yield Check(name, Status.OK, "the endpoint's address and secret have the right form")


def clock(server: ServerTime | None) -> Check:
    """Compare this machine's clock with the store's: over five minutes, rotations go wrong."""
    if server is None:
        found = "the store's answer does not say the time, so there is nothing to compare with"
        return Check("clock", Status.UNKNOWN, found, "Check that NTP sets this machine's clock")
    ahead = server.ours - server.theirs
    seconds = max(timedelta(), abs(ahead) - _NOISE).total_seconds()
    if not seconds:
        return Check("clock", Status.OK, f"within two seconds of the clock of {server.service}")
    side = "ahead of" if ahead > timedelta() else "behind"
    found = f"{seconds:.0f} s {side} the clock of {server.service}"
    status = Status.WRONG if abs(ahead) > CLOCK_SKEW else Status.OK
    todo = "Set this machine's clock by NTP" if status is Status.WRONG else ""
    return Check("clock", status, found, todo)


def no_other_clock() -> Check:
    """Return the finding for a store on this machine."""
    return Check("clock", Status.OK, "the store is on this machine and has no clock of its own")


def survey(adapter: CloudKMSAdapter, now: RunClock) -> Summary:
    """Return what a run would do. Changes nothing. Raises the store's errors."""
    return run(adapter, None, now(), dry_run=True)


def managed(summary: Summary) -> list[str]:
    """Return the ids of the keys that were planned, those that fail last."""
    actions = sorted(summary.actions, key=lambda a: (a.kind is Kind.FAILING, a.key_id))
    return list(dict.fromkeys(action.key_id for action in actions))


def keys(summary: Summary) -> Iterator[Check]:
    """Yield how many keys are managed and due, and which can't be rotated as they are."""
    count = len(managed(summary))
    if not count:
        found = "there is no managed key"
        yield Check(
            "keys", Status.WARNING, found, "Create one with create, or enrol one with adopt"
        )
        return
    failing = [a for a in summary.actions if a.kind is Kind.FAILING]
    due = f"{summary.overdue} of them due now"
    yield Check("keys", Status.OK, f"{count} managed, {due}, {len(failing)} failing")
    for action in summary.actions:
        if action.kind is Kind.ENROL:
            found = f"it carries our tags alone, and the next run enrols it: {action.reason}"
            todo = f"Run daena-kms adopt {action.key_id} --spec SPEC, which checks its value"
            yield Check(f"key {action.key_id}", Status.WARNING, found, f"{todo}; or remove the tag")
    for action in summary.actions:
        if action.warning is not None:
            todo = (
                "Re-encrypt what needs its oldest versions, then set daena.grace and "
                "daena.destroy-after; or go on with a new key"
            )
            yield Check(f"key {action.key_id}", Status.WARNING, action.warning, todo)
    for action in failing:
        error = action.error
        what = action.reason if error is None else error.what
        todo = "Run plan" if error is None or error.todo is None else error.todo
        yield Check(f"key {action.key_id}", Status.WRONG, what, todo)
