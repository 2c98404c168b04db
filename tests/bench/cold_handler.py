"""A process of its own: import the Lambda handler and make its clients."""

import importlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "functions_aws"))

began, began_cpu = time.perf_counter(), time.process_time()
handler = importlib.import_module("handler")
adapter, log = handler.services()
for service in ("secretsmanager", "kms"):
    adapter.aws.client(service)
wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
print(f'{{"wall": {wall}, "cpu": {cpu}}}')
