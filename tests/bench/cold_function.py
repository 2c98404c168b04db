"""A process of its own: import the functions' module of a cloud and make its clients."""

import importlib
import sys
import time
from pathlib import Path

cloud, module = sys.argv[1:]
sys.path.insert(0, str(Path(__file__).parents[2] / f"functions_{cloud}"))

began, began_cpu = time.perf_counter(), time.process_time()
functions = importlib.import_module(module)
adapter, log = functions.services()
importlib.import_module("tests.bench.clients").make_clients(adapter)
wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
print(f'{{"wall": {wall}, "cpu": {cpu}}}')
