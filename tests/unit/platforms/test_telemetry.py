"""A run in the log and in metrics: counts that add up, states that don't, no collector needed."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from daena_kms.errors import DaenaKMSError, StoreUnavailable
from daena_kms.platforms.telemetry import measure, report
from daena_kms.rules.summary import Summary
from opentelemetry import metrics
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

BEGAN = datetime(2026, 11, 24, 12, tzinfo=UTC)
COUNTERS = (
    *("rotated", "finished", "retired", "revoked", "destroyed", "released"),
    *("failed", "left", "skipped"),
)
STATES = ("keys", "held", "overdue", "lateness")


class Collector:
    """What a platform would collect, apart from what this process has set up for itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False)
        monkeypatch.setattr(metrics, "get_meter", self.provider.get_meter)
        monkeypatch.setattr(metrics, "get_meter_provider", lambda: self.provider)

    def points(self) -> dict[str, Any]:
        """Return the only data point of each metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        assert scope.scope.name == "daena-kms"
        found: dict[str, Any] = {}
        for metric in scope.metrics:
            (found[metric.name],) = metric.data.data_points
        return found


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    """A collector for this test alone."""
    return Collector(monkeypatch)


def summary(*rotated: str, failed: tuple[str, ...] = (), seconds: float = 1.5) -> Summary:
    """Return what a run did."""
    made = Summary("run", BEGAN, rotated=list(rotated), failed=list(failed), keys=9, overdue=2)
    made.held, made.left = ["h"], ["l", "m"]
    made.errors = {key: StoreUnavailable("away", key_id=key) for key in failed}
    made.finish(timedelta(seconds=seconds))
    return made


def test_a_run_s_trigger_is_told_with_each_figure(collector: Collector) -> None:
    """What an event brought about can be told from what the schedule did."""
    measure(summary("a"), "event")
    assert {frozenset(point.attributes.items()) for point in collector.points().values()} == {
        frozenset({("trigger", "event")})
    }


def test_counts_add_up_and_states_do_not(collector: Collector) -> None:
    """Over two runs: what was done is summed, what is so at the end of each stays apart."""
    measure(summary("a", "b", seconds=1.5))
    second = summary("c", seconds=2.5)
    second.keys, second.overdue = 7, 0
    measure(second)
    points = collector.points()
    assert set(points) == {f"daena_kms.{name}" for name in (*COUNTERS, *STATES, "duration")}
    assert points["daena_kms.rotated"].value == 3
    assert points["daena_kms.left"].value == 4
    assert points["daena_kms.failed"].value == 0
    states = [points[f"daena_kms.{name}"] for name in STATES]
    assert [(state.count, state.min, state.max) for state in states] == [
        (2, 7, 9),
        (2, 1, 1),
        (2, 0, 2),
        (2, 0, 0),
    ]
    duration = points["daena_kms.duration"]
    assert (duration.count, duration.sum) == (2, 4.0)


def test_a_run_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that lives on sends nothing more of it, or silence could not be told.

    Sent as Microsoft's exporter sends: what is counted or distributed as the difference, all else
    as it is.
    """
    delta = AggregationTemporality.DELTA
    differences: dict[type, AggregationTemporality] = {Counter: delta, Histogram: delta}
    reader = InMemoryMetricReader(preferred_temporality=differences)
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    measure(summary("a"))
    assert reader.get_metrics_data() is not None
    assert reader.get_metrics_data() is None


def test_every_count_of_a_summary_is_measured(collector: Collector) -> None:
    """A count that is added to the summary is added to the metrics."""
    measure(summary())
    assert {f"daena_kms.{n}" for n in summary().counts()} < set(collector.points())
    assert set(summary().counts()) == {*COUNTERS, *STATES}


def test_metrics_carry_no_names(collector: Collector) -> None:
    """Which keys there are is nobody's business who reads a metric."""
    measure(summary("some-key", failed=("other-key",)))
    assert all(dict(point.attributes) == {} for point in collector.points().values())


def test_metrics_are_sent_before_the_function_ends(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform may freeze an instance at once; sending has a time limit."""
    flushed: list[float] = []
    monkeypatch.setattr(collector.provider, "force_flush", flushed.append)
    measure(summary())
    assert flushed == [5000]


def test_a_collector_that_fails_hides_nothing(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The run has done what it did: keys that failed are told, and a run that is well is well."""

    def fail(_milliseconds: float) -> None:
        raise RuntimeError("c4nary")

    monkeypatch.setattr(collector.provider, "force_flush", fail)
    report(summary("a"))
    with pytest.raises(DaenaKMSError, match="1 of 9 keys failed: b"):
        report(summary("a", failed=("b",)))
    assert "c4nary" not in caplog.text


def test_a_run_is_one_line_of_json(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """With its counts, keys and errors, and then the keys that failed are an error."""
    caplog.set_level(logging.INFO)
    report(summary("a"))
    with pytest.raises(DaenaKMSError, match=r"1 of 9 keys failed: b"):
        report(summary("a", failed=("b",)))
    lines = [json.loads(message) for message in caplog.messages]
    assert [line["event"] for line in lines] == ["run", "run"]
    assert [line["ok"] for line in lines] == [True, False]
    assert lines[1]["errors"] == {"b": {"error": "store-unavailable", "message": "key 'b': away"}}
    assert {record.name for record in caplog.records} == {"daena_kms"}
    assert collector.points()["daena_kms.failed"].value == 1


def test_a_provider_that_cannot_be_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's interface does not ask for it."""
    monkeypatch.setattr(metrics, "get_meter", metrics.NoOpMeter)
    monkeypatch.setattr(metrics, "get_meter_provider", metrics.NoOpMeterProvider)
    measure(summary("a"))


def test_without_opentelemetry(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says all; nothing is measured."""
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    report(summary("a"))
    assert len(caplog.messages) == 1


ALONE = """
import gc
from datetime import UTC, datetime
from daena_kms.rules.summary import Summary
from daena_kms.platforms.telemetry import measure

def instruments():
    gc.collect()
    return sum(type(found).__name__.startswith("_Proxy") for found in gc.get_objects())

measure(Summary("run", datetime.now(UTC)))
first = instruments()
for _ in range(20):
    measure(Summary("run", datetime.now(UTC)))
assert first > 0
print(instruments() - first)
"""
LATER = """
from datetime import UTC, datetime
from daena_kms.rules.summary import Summary
from daena_kms.platforms.telemetry import measure
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

run = Summary("run", datetime.now(UTC), rotated=["a"])
measure(run)
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
measure(run)
(resource,) = reader.get_metrics_data().resource_metrics
(scope,) = resource.scope_metrics
values = {m.name: m.data.data_points[0] for m in scope.metrics}
print(values["daena_kms.rotated"].value)
"""


def _alone(program: str) -> str:
    """Return what a program prints in a process of its own, whose provider is its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_without_a_collector_nothing_grows() -> None:
    """A process that measures for nobody may run for months."""
    assert _alone(ALONE) == "0"


def test_a_collector_that_is_set_up_later_gets_what_comes() -> None:
    """The platform may set it up after the first run."""
    assert _alone(LATER) == "1"
