"""What reaches Application Insights, by the worker's own telemetry and Microsoft's exporter."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from daena_kms.rules.summary import Summary

ROOT = Path(__file__).parents[2]


def test_records_and_metrics_of_a_run_are_sent() -> None:
    """The run's summary as JSON and each count as a metric; no value of a secret."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.functions.azure_telemetry_child"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,  # it ends by itself, however busy the machine is
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ok"]
    ours = {
        n.removeprefix("daena_kms."): v for n, v in told["metrics"].items() if "daena_kms." in n
    }
    assert set(ours) == {*Summary(None, datetime.now(UTC)).counts(), "duration"}
    assert (ours["rotated"], ours["failed"], ours["overdue"], ours["keys"]) == (1, 0, 0, 1)
    assert ours["duration"] > 0
    # By which the alarms on overdue keys and on silence leave runs for an event out.
    assert {told["triggers"][f"daena_kms.{name}"] for name in ours} == {"schedule"}
    records = [json.loads(text) for text in told["messages"] if text.startswith("{")]
    assert [record["rotated"] for record in records if record["event"] == "run"] == [["due-key"]]
    assert told["leaks"] == 0
