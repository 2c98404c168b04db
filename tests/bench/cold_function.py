"""A process of its own: import the functions' module of a cloud and make its clients.

Arguments: the cloud, the module, and for a built package the folders that its modules lie in; one
that has its libraries in it is imported without what is installed here.
"""

import importlib
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
cloud, module, *folders = sys.argv[1:]
if folders and cloud != "gcp":  # there the cloud installs the libraries
    installed = ("site-packages", str(ROOT / "core"))
    sys.path[:] = [path for path in sys.path if not path.endswith(installed)]
sys.path[:0] = folders or [str(ROOT / f"functions_{cloud}")]

began, began_cpu = time.perf_counter(), time.process_time()
functions = importlib.import_module(module)
adapter, log = functions.services()
importlib.import_module("tests.bench.clients").make_clients(adapter)
wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
if folders and not functions.run.__code__.co_filename.startswith(
    (folders[0], "/var/task/", "/home/site/wwwroot/")
):
    sys.exit("the package's own modules were not used")
print(f'{{"wall": {wall}, "cpu": {cpu}}}')
