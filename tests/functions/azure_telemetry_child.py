"""A Function App whose worker sends its telemetry to a place on loopback; ends with what came.

In a process of its own, because what telemetry switches on can't be switched off again. The last
line of output is a JSON object: the names and values of metrics, the messages, and how many of the
secrets' values were in anything that was sent.
"""

import gzip
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from daena_kms.platforms import telemetry

from tests.functions.azure_world import azure_app

#: What came: the path it was sent to, and the body.
_SENT: list[tuple[str, bytes]] = []
#: Where records and metrics go. Live metrics, which have another form, go elsewhere once a second.
_TRACK = "/track"
#: So long may a flush take: it ends when all is sent, and the machine may be busy.
_MILLISECONDS = 300_000
_ACCEPTED = b'{"itemsReceived": 1, "itemsAccepted": 1, "errors": []}'


class Ingestion(BaseHTTPRequestHandler):
    """Takes telemetry as Application Insights does."""

    def do_POST(self) -> None:
        """Keep what was sent."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        zipped = self.headers.get("Content-Encoding") == "gzip"
        _SENT.append((self.path, gzip.decompress(body) if zipped else body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(_ACCEPTED)))
        self.end_headers()
        self.wfile.write(_ACCEPTED)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


def _items() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path, body in _SENT:
        if not path.partition("?")[0].endswith(_TRACK):
            continue
        sent = json.loads(body)
        found += sent if isinstance(sent, list) else [sent]
    return [item["data"]["baseData"] for item in found]


def telemetry_settings(place: str) -> dict[str, str]:
    """Return the app settings that send telemetry there, and nothing about the exporter itself."""
    key = "InstrumentationKey=00000000-0000-0000-0000-000000000000"
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": (
            f"{key};IngestionEndpoint={place};LiveEndpoint={place}"
        ),
        "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
        "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "daena_kms",
    }


def main() -> None:
    """Let the timer go off once, and tell what was sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ingestion)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = telemetry_settings(f"http://127.0.0.1:{server.server_port}/")
    # How long a run waits for it is asked elsewhere; here it is what is sent.
    vars(telemetry)["_FLUSH_MILLISECONDS"] = _MILLISECONDS
    with azure_app(**settings) as world:
        values = {world.secret("due-key", days=91)}
        result = world.fire()
        values |= {str(v.value) for v in world.sim.secrets.versions("due-key")}
        from opentelemetry._logs import get_logger_provider

        provider: Any = get_logger_provider()
        provider.force_flush(_MILLISECONDS)
    items = _items()
    told = {
        "ok": result.ok,
        "metrics": {m["name"]: m["value"] for i in items for m in i.get("metrics", ())},
        "triggers": {
            m["name"]: i["properties"].get("trigger") for i in items for m in i.get("metrics", ())
        },
        "messages": [item["message"] for item in items if "message" in item],
        "leaks": sum(value.encode() in body for value in values for _, body in _SENT),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the exporter's threads have no end


if __name__ == "__main__":
    main()
