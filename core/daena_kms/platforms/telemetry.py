"""What a run did, as one line of JSON in the log and as metrics through OpenTelemetry's interface.

Who collects them is set up by the platform. Without a collector nothing is measured.
"""

import functools
import json
import logging
from typing import TYPE_CHECKING, Any

from daena_kms.rules.summary import Summary

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider

logger = logging.getLogger("daena_kms")

_FLUSH_MILLISECONDS = 5_000
#: What is a state at the end of a run; all other counts add up. Each is a histogram, which tells of
#: a run once: a gauge is sent again every minute while the process lives, as if runs went on.
_STATES = {"keys", "held", "overdue", "lateness"}
_UNITS = {"lateness": "s"}


def report(summary: Summary, trigger: str | None = None) -> None:
    """Log a run, measure it, and raise :class:`~daena_kms.errors.DaenaKMSError` if a key failed."""
    logger.info(json.dumps({"event": "run", **summary.to_dict()}, sort_keys=True))
    measure(summary, trigger)
    summary.raise_if_failed()


def measure(summary: Summary, trigger: str | None = None) -> None:
    """Record a run's counts (``daena_kms.rotated``, …) and its duration in seconds.

    Each with the trigger, because a run of one key, for an event, says nothing of the others.
    """
    try:
        from opentelemetry import metrics
    except ModuleNotFoundError:
        return
    provider = metrics.get_meter_provider()
    meter = _meter(provider)
    by = {} if trigger is None else {"trigger": trigger}
    for name, count in summary.counts().items():
        if name in _STATES:
            _histogram(meter, f"daena_kms.{name}", _UNITS.get(name, "")).record(count, by)
        else:
            _counter(meter, f"daena_kms.{name}").add(count, by)
    _histogram(meter, "daena_kms.duration", "s").record(summary.duration.total_seconds(), by)
    # An instance may be frozen once the function has returned.
    flush: Any = getattr(provider, "force_flush", None)
    if flush is not None:
        try:
            flush(_FLUSH_MILLISECONDS)
        except Exception as error:  # noqa: BLE001 - the run has done what it did, sent or not
            logger.warning("the metrics could not be sent (%s)", type(error).__name__)


@functools.cache
def _meter(provider: "MeterProvider") -> "Meter":
    # Without a collector each meter that is asked for stays in memory for good.
    return provider.get_meter("daena-kms")


@functools.cache
def _counter(meter: "Meter", name: str) -> "Counter":
    return meter.create_counter(name)


@functools.cache
def _histogram(meter: "Meter", name: str, unit: str) -> "Histogram":
    return meter.create_histogram(name, unit=unit)
