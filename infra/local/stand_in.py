"""A simulated cloud in a process of its own."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daena_kms.errors import StoreUnavailable

_ROOT = Path(__file__).parents[2]
_SECONDS = 10


class StandIn:
    """Runs ``python -m infra.local.<name>.sim`` while it is a context.

    ``addresses`` is what it says of itself in its first line of output, a JSON object.
    """

    def __init__(self, name: str) -> None:
        self._module = f"infra.local.{name}.sim"
        self._process: subprocess.Popen[str] | None = None
        self.addresses: dict[str, Any] = {}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", self._module]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            self._end()
            raise StoreUnavailable(f"{self._module} did not start", todo="See what it printed")
        self.addresses = json.loads(line)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def control(self, url: str, name: str, **values: object) -> None:
        """Call a control of the stand-in at its plain address."""
        request = urllib.request.Request(
            f"{url}/_sim/{name}", json.dumps(values).encode(), method="POST"
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_SECONDS):
            pass

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
