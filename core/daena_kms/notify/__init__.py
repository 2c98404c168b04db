"""Sends events to the endpoint in the environment. It never fails a run, nor delays it for long.

HTTP and TLS are imported only if an endpoint is set.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError
from daena_kms.rules.text import shown
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from daena_kms.notify.base import Event, Timing
    from daena_kms.notify.wire import Network

logger = logging.getLogger("daena_kms")

#: Seconds that all events of a run may take.
TOTAL = 10.0
#: Seconds that they get even after the run's deadline: then no more work begins, but the process
#: does not end yet.
LEAST = 2.0

_SET = "DAENA_KMS_ENDPOINT"


def wanted(settings: Settings) -> bool:
    """Return whether an endpoint is set. If none is, no event is made."""
    return settings.get(_SET) is not None


def notify(
    events: "Iterable[Event]",
    settings: Settings,
    left: timedelta | None = None,
    *,
    timing: "Timing | None" = None,
    network: "Network | None" = None,
) -> tuple[int, int]:
    """Send the events. Never raises; without an endpoint it does nothing.

    Args:
        events: what to send, in this order; an iterator is not started without an endpoint.
        settings: the environment.
        left: what is left of the run's time; ``None`` if that is not limited.
        timing: the clocks, for tests.
        network: the network, for tests.

    Returns:
        How many events were delivered, and how many were not.
    """
    if not wanted(settings):
        return 0, 0
    from daena_kms.notify.base import Timing

    waiting: list[Event] = []
    try:
        waiting += events
        return _send(waiting, settings, left, timing or Timing(), network)
    except ConfigError as error:
        logger.error("no event was sent: %s", shown(error))
    except Exception as error:  # noqa: BLE001 - the run is over, whether or not anybody hears of it
        logger.error("no event was sent: an unexpected %s", type(error).__name__)
    return 0, len(waiting)


def check_endpoint(
    settings: Settings, look_up: Callable[[str, int], Sequence[str]] | None = None
) -> None:
    """Check the settings of the endpoint; no endpoint is fine.

    Args:
        settings: the environment.
        look_up: :func:`daena_kms.notify.wire.look_up`, to check the host's addresses, too. This
            takes as long as the name service does.

    Raises:
        ConfigError: no event can be sent with these settings.
        OSError: the host can't be looked up.
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
