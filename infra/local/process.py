"""A simulator in a process of its own, and calls to a simulator's controls."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from infra.local.server import CONTROL_PREFIX


def control(url: str, name: str, **params: object) -> object:
    """Call a control of a simulator in another process, and return its JSON result."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("POST", CONTROL_PREFIX + name, json.dumps(params))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(body.decode())
    result: object = json.loads(body)
    return result


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[str]:
    """Run a module as a process of its own until the block ends; yields its first line."""
    command = [sys.executable, "-m", module, *arguments]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise RuntimeError(command)
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def wait_for_the_end(line: str) -> None:
    """Print a line, at once, and wait for SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    ended.wait()
