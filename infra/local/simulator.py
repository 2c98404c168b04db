"""Our simulators in processes of their own, and calls to a simulator's controls."""

import argparse
import json
import re
import signal
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from infra.local.process import ROOT, ChildProcess
from infra.local.server import CONTROL_PREFIX, SimServer

_SAYS = re.compile(r"^(\{.*\})\n", re.MULTILINE)


class SimulatorProcess(ChildProcess):
    """Runs ``python -m infra.local.<cloud>.sim``; ``url`` is where its controls answer.

    Args:
        cloud: ``aws``, ``azure`` or ``gcp``.
        arguments: for the simulator; ``--help`` lists them.
    """

    ends_by_itself: ClassVar[bool] = True

    def __init__(self, cloud: str, *arguments: str) -> None:
        super().__init__()
        self.name = f"the simulator of {cloud}"
        self._module = f"infra.local.{cloud}.sim"
        self._arguments = arguments
        self.addresses: dict[str, Any] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a program to the simulated cloud."""
        return dict(self.addresses["environment"])

    def control(self, name: str, **params: object) -> object:
        """Call a control; see :func:`control`."""
        return control(self.url, name, **params)

    def _command(self, folder: Path) -> list[str]:
        del folder
        return [sys.executable, "-P", "-m", self._module, *self._arguments]

    def _surroundings(self, folder: Path) -> dict[str, str]:
        return super()._surroundings(folder) | {"PYTHONPATH": str(ROOT)}

    def _address(self) -> str | None:
        found = _SAYS.search(self.log())
        if found is None:
            return None
        self.addresses = json.loads(found[1])
        return str(self.addresses["url"])


def control(url: str, name: str, **params: object) -> object:
    """Call a control of a simulator in another process, and return its JSON result.

    Raises:
        ValueError: there is no such control, or it does not take these parameters.
    """
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


def options(description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every simulator has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds for each call")
    parser.add_argument("--writes-per-second", type=float, help="quota for each group of writes")
    return parser


def serve(simulator: SimServer, given: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; the first line of output is the addresses as JSON."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    with simulator:
        simulator.set_latency(given.latency)
        simulator.faults.quota(given.writes_per_second, getattr(given, "retry_after", None))
        sys.stdout.write(json.dumps(simulator.addresses()) + "\n")
        sys.stdout.flush()
        ended.wait()
