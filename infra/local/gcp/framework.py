"""Runs a Cloud Function in Google's own functions-framework."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.process import HOST, ROOT, ChildProcess

SOURCE = ROOT / "functions_gcp" / "main.py"
_PROGRAM = Path(sys.executable).with_name("functions-framework")
_LISTENS = re.compile(r"Listening at: (http://\S+)\s")


class FunctionsFramework(ChildProcess):
    """A function that answers at ``url``, on a free loopback port.

    Args:
        target: the function's name in the source.
        settings: its environment variables, such as the ``environment`` of a simulator.
        signature: ``http`` or ``cloudevent``.
        source: the module that it is in.
    """

    ends_by_itself = True

    def __init__(
        self,
        target: str,
        settings: Mapping[str, str],
        *,
        signature: str = "http",
        source: Path = SOURCE,
    ) -> None:
        super().__init__()
        self.name = f"functions-framework with {target}"
        self._settings = settings
        self._options = ["--source", str(source), "--target", target, "--signature-type", signature]

    def _command(self, folder: Path) -> list[str]:
        del folder
        return [str(_PROGRAM), *self._options, "--host", HOST, "--port", "0"]

    def _surroundings(self, folder: Path) -> dict[str, str]:
        # At this level its server says which port it was given.
        own = super()._surroundings(folder) | {"GUNICORN_LOG_LEVEL": "info"}
        return own | dict(self._settings)

    def _address(self) -> str | None:
        found = _LISTENS.search(self.log())
        return found[1] if found else None
