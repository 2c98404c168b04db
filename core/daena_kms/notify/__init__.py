"""Tell the endpoint in the environment what a run did, and never fail or hold up the run by it.

Nothing of HTTP or TLS is imported unless an endpoint is set.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from daena_kms.notify.base import Event, Timing
    from daena_kms.notify.wire import Network

logger = logging.getLogger("daena_kms")

#: Seconds that all of a run's events may take, and what they get when the run has used up its
#: time: that is when no more work is begun, not when the process ends.
TOTAL = 10.0
LEAST = 2.0

_SET = "DAENA_KMS_ENDPOINT"


def wanted(settings: Settings) -> bool:
    """Whether there is an endpoint, so that it is worth making events at all."""
    return settings.get(_SET) is not None


def notify(
    events: "Iterable[Event]",
    settings: Settings,
    left: timedelta | None = None,
    *,
    timing: "Timing | None" = None,
    network: "Network | None" = None,
) -> tuple[int, int]:
    """Send the events, and return how many were delivered, and how many were not. Never raises.

    ``left`` is what is left of the run's time, if that is limited. Without an endpoint the events
    are not even made.
    """
    if not wanted(settings):
        return 0, 0
    from daena_kms.notify.base import Timing

    waiting: list[Event] = []
    try:
        waiting += events
        return _send(waiting, settings, left, timing or Timing(), network)
    except ConfigError as error:
        logger.error("no event is sent: %s", error)
    except Exception as error:  # noqa: BLE001 - the run has done what it did, told or not
        logger.error("no event is sent: an unexpected %s", type(error).__name__)
    return 0, len(waiting)


def check_endpoint(
    settings: Settings, look_up: Callable[[str, int], Sequence[str]] | None = None
) -> None:
    """Raise :class:`ConfigError` when events can't be sent as it is set; none set is no error.

    With ``look_up`` (:func:`daena_kms.notify.wire.look_up`) the host's addresses are checked too,
    which takes as long as the name service does and may raise its OSError.
    """
    if not wanted(settings):
        return
    from daena_kms.notify.endpoint import endpoint_from
    from daena_kms.notify.guard import check_address

    endpoint = endpoint_from(settings)
    if endpoint is None or look_up is None:
        return
    for address in look_up(endpoint.host, endpoint.port):
        check_address(endpoint.host, address, endpoint.allowed)


def _send(
    events: "Sequence[Event]",
    settings: Settings,
    left: timedelta | None,
    timing: "Timing",
    network: "Network | None",
) -> tuple[int, int]:
    from daena_kms.notify.delivery import deliver
    from daena_kms.notify.endpoint import endpoint_from
    from daena_kms.notify.webhook import Webhook

    endpoint = endpoint_from(settings)
    if endpoint is None or not events:
        return 0, 0
    within = TOTAL if left is None else min(TOTAL, max(LEAST, left.total_seconds()))
    sink = Webhook(endpoint, timing, network)
    try:
        return deliver(events, sink, within, timing, endpoint.authority)
    finally:
        sink.close()
