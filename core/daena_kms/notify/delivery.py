"""Sends events to a sink: a few tries for each, and a limit on the time for all of them."""

import logging
from collections.abc import Iterable

from daena_kms.notify.base import Event, Sink, Then, Timing, Undelivered
from daena_kms.rules.text import shown

logger = logging.getLogger("daena_kms")

#: Seconds for one try, and how many tries one event gets.
ATTEMPT = 5.0
ATTEMPTS = 4
#: Seconds before the second try. Before each further one it is twice as long.
BACKOFF = 0.5


def deliver(
    events: Iterable[Event], sink: Sink, within: float, timing: Timing, where: str
) -> tuple[int, int]:
    """Send the events in order.

    An event that is refused does not stop the next one. After a receiver did not answer, it gets
    nothing more.

    Args:
        events: what to send.
        sink: where to send it.
        within: how many seconds all of it may take.
        timing: the clocks.
        where: the receiver's name in the log.

    Returns:
        How many events were delivered, and how many were not.
    """
    end = timing.monotonic() + within
    waiting = list(events)
    delivered = 0
    for number, event in enumerate(waiting):
        trouble = _try(event, sink, end, timing)
        if trouble is None:
            delivered += 1
            continue
        told = (where, event.type, event.subject, trouble)
        logger.warning("%s did not receive %s for %s: %s", *map(shown, told))
        if trouble.then is not Then.NEXT:
            rest = len(waiting) - number - 1
            if rest:
                logger.warning("%s was not sent %d more events", where, rest)
            break
    return delivered, len(waiting) - delivered


def _try(event: Event, sink: Sink, end: float, timing: Timing) -> Undelivered | None:
    """Send one event, again if that may help. Returns why it was not delivered, or ``None``."""
    trouble = Undelivered("no time was left", Then.STOP)
    for attempt in range(ATTEMPTS):
        left = end - timing.monotonic()
        if left <= 0:
            break
        try:
            sink.send(event, min(left, ATTEMPT))
        except Undelivered as error:
            trouble = error
        else:
            return None
        # A random part of the second half, so that many runs do not try again at the same moment.
        wait = BACKOFF * 2**attempt * (1 + timing.chance()) / 2
        wait = max(wait, trouble.after or 0.0)
        last = attempt == ATTEMPTS - 1
        if trouble.then is not Then.RETRY or last or wait >= end - timing.monotonic():
            break
        timing.sleep(wait)
    return trouble
