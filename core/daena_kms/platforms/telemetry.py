"""Reports a run: one line of JSON in the log, and metrics through OpenTelemetry's interface.

The platform sets up a collector. Without one, nothing is measured.
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
#: These counts are a state at the end of a run; all others add up. Each is a histogram, which
#: reports a run once. A gauge would be sent every minute while the process lives, as if it ran on.
_STATES = {"keys", "held", "overdue", "lateness"}
_UNITS = {"lateness": "s"}


def report(summary: Summary, trigger: str | None = None) -> None:
    """Log a run and measure it. Raises :class:`~daena_kms.errors.DaenaKMSError` if a key failed."""
    logger.info(json.dumps({"event": "run", **summary.to_dict()}, sort_keys=True))
    measure(summary, trigger)
    summary.raise_if_failed()


def measure(summary: Summary, trigger: str | None = None) -> None:
    """Record a run's counts (``daena_kms.rotated``, …) and its duration in seconds.

    Each carries the trigger, because a run of one key after an event says nothing about the others.
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
        except Exception as error:  # noqa: BLE001 - the run is over, whether or not it is measured
            logger.warning("the metrics could not be sent (%s)", type(error).__name__)


@functools.cache
def _meter(provider: "MeterProvider") -> "Meter":
    # Without a collector, each new meter would stay in memory for ever.
    return provider.get_meter("daena-kms")


@functools.cache
def _counter(meter: "Meter", name: str) -> "Counter":
    return meter.create_counter(name)


@functools.cache
def _histogram(meter: "Meter", name: str, unit: str) -> "Histogram":
    return meter.create_histogram(name, unit=unit)
