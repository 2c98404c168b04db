"""A process of its own: import what a plain function on Secret Manager does, make its client."""

import time

began, began_cpu = time.perf_counter(), time.process_time()

import functions_framework  # noqa: F401 - the import is what is timed
from google.cloud import secretmanager

secretmanager.SecretManagerServiceClient()
wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
print(f'{{"wall": {wall}, "cpu": {cpu}}}')
