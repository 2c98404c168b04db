"""Send events to a sink: a few tries each, and an end to all of it."""

import logging
from collections.abc import Iterable

from daena_kms.notify.base import Event, Sink, Then, Timing, Undelivered

logger = logging.getLogger("daena_kms")

#: Seconds for one try, and how many tries there are for one event.
ATTEMPT = 5.0
ATTEMPTS = 4
#: Seconds before the second try; twice as long before each further one.
BACKOFF = 0.5


def deliver(
    events: Iterable[Event], sink: Sink, within: float, timing: Timing, where: str
) -> tuple[int, int]:
    """Send the events in order and return how many were delivered, and how many were not.

    All of it takes at most ``within`` seconds. An event that is refused does not stop the next
    one; a receiver that does not answer is not asked again. ``where`` is its name in the log.
    """
    end = timing.monotonic() + within
    waiting = list(events)
    delivered = 0
    for number, event in enumerate(waiting):
        trouble = _try(event, sink, end, timing)
        if trouble is None:
            delivered += 1
            continue
        logger.warning("%s was not told of %s %s: %s", where, event.type, event.subject, trouble)
        if trouble.then is not Then.NEXT:
            rest = len(waiting) - number - 1
            if rest:
                logger.warning("%s was not told of %d more events", where, rest)
            break
    return delivered, len(waiting) - delivered


def _try(event: Event, sink: Sink, end: float, timing: Timing) -> Undelivered | None:
    """Send one event, again if that may help, and return why it was not delivered."""
    trouble = Undelivered("no time was left", Then.STOP)
    for attempt in range(ATTEMPTS):
        left = end - timing.monotonic()
        if left <= 0:
            break
        try:
            sink.send(event, min(left, ATTEMPT))
        except Undelivered as found:
            trouble = found
        else:
            return None
        # Between half of it and all, so that many runs at once do not come back together.
        wait = BACKOFF * 2**attempt * (1 + timing.chance()) / 2
        wait = max(wait, trouble.after or 0.0)
        last = attempt == ATTEMPTS - 1
        if trouble.then is not Then.RETRY or last or wait >= end - timing.monotonic():
            break
        timing.sleep(wait)
    return trouble
