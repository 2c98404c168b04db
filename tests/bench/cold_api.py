"""A process of its own: what importing the HTTP API adds to an engine that is loaded."""

import importlib
import time

for name in ("engine", "cloud_kms", "audit", "platforms.telemetry"):
    importlib.import_module(f"daena_kms.{name}")

began = time.perf_counter()
router = importlib.import_module("daena_kms.api.router")
messages = importlib.import_module("daena_kms.api.messages")
answer = router.respond(messages.Request("GET", "/v1/openapi.json", None, None), None)
wall = time.perf_counter() - began
if answer.status != 200:
    raise RuntimeError(answer.body)
print(f'{{"wall": {wall}}}')
