"""Log records as Cloud Logging reads them."""

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from daena_kms.platforms.gcp_logging import CloudFormatter, start_logging

TRACE = "105445aa7843bc8bf206b12000100000"
PROJECT = {"GOOGLE_CLOUD_PROJECT": "some-project"}
FIELD = "logging.googleapis.com/trace"


def entry(
    text: str,
    *,
    headers: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = PROJECT,
    **fields: object,
) -> dict[str, Any]:
    """The entry that a record of ours becomes."""
    given = {"name": "daena_kms", "levelno": logging.INFO, "levelname": "INFO", "msg": text}
    record = logging.makeLogRecord(given | fields)
    line = CloudFormatter((headers or {}).get, environ).format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_levels_are_severities(level: str) -> None:
    """Their names are the same."""
    assert entry("a", levelname=level)["severity"] == level


def test_another_level_is_the_default_severity() -> None:
    """Cloud Logging knows no others."""
    assert entry("a", levelname="NOTE")["severity"] == "DEFAULT"


@pytest.mark.parametrize(
    "text", ["a\nb", "\u2028", "schlüssel 🔑", '"', "{", "[1]", "{}x", "{" * 9_000]
)
def test_any_text_is_one_line(text: str) -> None:
    """What is no JSON object is the message."""
    assert entry(text) == {"message": text, "severity": "INFO", "logger": "daena_kms"}


def test_an_object_of_ours_keeps_its_fields() -> None:
    """Those that Cloud Logging gives a meaning are not the record's to set."""
    told = {"event": "run", "counts": {"rotated": 2}, "severity": "EMERGENCY", "logger": "x"}

    assert entry(json.dumps(told)) == {
        "event": "run",
        "message": "run",
        "counts": {"rotated": 2},
        "severity": "INFO",
        "logger": "daena_kms",
    }


def test_an_object_of_others_is_text() -> None:
    """Another library's text does not choose its fields."""
    assert entry('{"a": 1}', name="daena_kmsx")["message"] == '{"a": 1}'


def test_an_object_without_an_event_is_its_own_message() -> None:
    """So that no entry is without one."""
    assert entry('{"a": 1}') == {
        "a": 1,
        "message": '{"a": 1}',
        "severity": "INFO",
        "logger": "daena_kms",
    }


def test_a_traceback_is_part_of_the_message() -> None:
    """Error Reporting looks for it there."""
    try:
        raise ValueError("on purpose")  # noqa: TRY301 - there must be one
    except ValueError:
        found = entry("failed", levelname="ERROR", exc_info=sys.exc_info())

    assert found["message"].startswith("failed\nTraceback (most recent call last):")
    assert found["message"].endswith("ValueError: on purpose")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Cloud-Trace-Context": TRACE},
        {"X-Cloud-Trace-Context": f"{TRACE}/1"},
        {"X-Cloud-Trace-Context": f"{TRACE.upper()}/1;o=1"},
        {"X-Cloud-Trace-Context": f"{TRACE};o=0"},
        {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00", "X-Cloud-Trace-Context": "x"},
    ],
    ids=range(6),
)
def test_a_trace_is_named_with_its_project(headers: dict[str, str]) -> None:
    """From either header."""
    assert entry("a", headers=headers)[FIELD] == f"projects/some-project/traces/{TRACE}"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Cloud-Trace-Context": TRACE[:-1]},
        {"X-Cloud-Trace-Context": TRACE + "0"},
        {"X-Cloud-Trace-Context": f"projects/x/traces/{TRACE}"},
        {"traceparent": f"01-{TRACE}-00f067aa0ba902b7-01"},
        {"traceparent": TRACE},
        {"Traceparent-Of": f"00-{TRACE}-00f067aa0ba902b7-01"},
    ],
    ids=range(6),
)
def test_what_is_no_trace_is_left_out(headers: dict[str, str]) -> None:
    """A caller can't put text of its own there."""
    assert FIELD not in entry("a", headers=headers)


def test_the_project_is_google_s_setting_or_ours() -> None:
    """Without one there is no trace."""
    headers = {"X-Cloud-Trace-Context": TRACE}

    both = {"GOOGLE_CLOUD_PROJECT": "theirs", "GCP_PROJECT_ID": "ours"}
    assert entry("a", headers=headers, environ=both)[FIELD].startswith("projects/theirs/")
    ours = {"GCP_PROJECT_ID": "ours"}
    assert entry("a", headers=headers, environ=ours)[FIELD].startswith("projects/ours/")
    assert FIELD not in entry("a", headers=headers, environ={})


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The functions' logger; the root logger is as before afterwards."""
    monkeypatch.setattr(logging.root, "handlers", [logging.StreamHandler()])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    return start_logging(lambda _: None, {})


def test_each_record_is_written_once_and_at_once(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """On what is standard output by then; handlers that were there before are gone."""
    logger.info("a")
    logging.getLogger("another.library").warning("b")
    logger.debug("a detail")

    captured = capsys.readouterr()
    assert [json.loads(line)["message"] for line in captured.out.splitlines()] == ["a", "b"]
    assert captured.err == ""


def test_a_log_that_can_not_be_written_fails_nothing(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The work goes on, and standard error says what happened."""
    monkeypatch.setattr(sys, "stdout", None)

    logger.info("a")

    assert "Logging error" in capsys.readouterr().err
