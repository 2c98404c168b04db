"""Logs in the form that Cloud Logging reads: one JSON object a line on standard output.

https://cloud.google.com/logging/docs/structured-logging
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

#: The header that Cloud Run and load balancers set, and the one that the W3C has made of it.
#: https://cloud.google.com/trace/docs/trace-context
_TRACES = {
    "X-Cloud-Trace-Context": re.compile(r"([0-9a-fA-F]{32})(?:[/;].*)?"),
    "traceparent": re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"),
}
_SEVERITIES = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
_OURS = "daena_kms"


def start_logging(
    header: Callable[[str], str | None], environ: Mapping[str, str] = os.environ
) -> logging.Logger:
    """Write every log record of this process as such a line, and return the functions' logger.

    Args:
        header: returns a header of the request that the calling thread answers.
        environ: ``GOOGLE_CLOUD_PROJECT``, or else ``GCP_PROJECT_ID``, is the project of a trace.
    """
    handler = _Stdout()
    handler.setFormatter(CloudFormatter(header, environ))
    # The framework has set handlers already, which would write every record a second time.
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return logging.getLogger(f"{_OURS}.function")


class CloudFormatter(logging.Formatter):
    """Formats a record as a JSON object. A record of ours that already is one keeps its fields."""

    def __init__(
        self, header: Callable[[str], str | None], environ: Mapping[str, str] = os.environ
    ) -> None:
        super().__init__()
        self._header = header
        self._environ = environ

    def format(self, record: logging.LogRecord) -> str:
        """Return one line. A traceback is part of the message, where Error Reporting looks."""
        text = super().format(record)
        entry = _fields(text) if record.name.split(".")[0] == _OURS else {}
        entry["message"] = entry.get("event", text)
        entry["severity"] = record.levelname if record.levelname in _SEVERITIES else "DEFAULT"
        entry["logger"] = record.name
        trace = self._trace()
        if trace is not None:
            entry["logging.googleapis.com/trace"] = trace
        return json.dumps(entry, sort_keys=True)

    def _trace(self) -> str | None:
        project = self._environ.get("GOOGLE_CLOUD_PROJECT") or self._environ.get("GCP_PROJECT_ID")
        trace = trace_id(self._header)
        return f"projects/{project}/traces/{trace}" if trace and project else None


def trace_id(header: Callable[[str], str | None]) -> str | None:
    """Return the trace that a request belongs to, or ``None`` if no header names one."""
    for name, form in _TRACES.items():
        match = form.fullmatch(header(name) or "")
        if match is not None:
            return match[1].lower()
    return None


class _Stdout(logging.Handler):
    """Writes to the current standard output, which the framework may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - as in every handler: a log that fails must not fail the work
            self.handleError(record)


def _fields(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
