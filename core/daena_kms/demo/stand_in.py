"""A stand-in for a cloud in a process of its own, as the tests have it in a checkout."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daena_kms.errors import ConfigError, StoreUnavailable

_ROOT = Path(__file__).parents[3]
_SECONDS = 10


class StandIn:
    """Runs ``python -m tests.stores.<name>`` while it is a context.

    ``addresses`` is what it says of itself in its first line of output, a JSON object.
    """

    def __init__(self, name: str) -> None:
        self._module = f"tests.stores.{name}"
        self._process: subprocess.Popen[str] | None = None
        self.addresses: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if not (_ROOT / (self._module.replace(".", "/") + ".py")).is_file():
            msg = f"this part of the demo needs a checkout of the project, with {self._module}"
            raise ConfigError(msg, todo="Clone it and run make demo; daena-kms demo runs anywhere")
        command = [sys.executable, "-m", self._module]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
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
        request = urllib.request.Request(  # noqa: S310 - loopback
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


def checkout(*parts: str) -> Path:
    """Return a file or folder of the checkout. Raises :class:`ConfigError` where there is none."""
    path = _ROOT.joinpath(*parts)
    if not path.exists():
        msg = f"this part of the demo needs a checkout of the project, with {'/'.join(parts)}"
        raise ConfigError(msg, todo="Clone it and run make demo; daena-kms demo runs anywhere")
    return path
