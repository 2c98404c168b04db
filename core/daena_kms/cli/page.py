"""The output of the demo: headings, lines and tables."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from daena_kms.errors import DaenaKMSError
from daena_kms.rules.text import shown

_WIDTH = 110


class Page:
    """Prints to standard output with a fixed width, so that it looks the same everywhere."""

    def __init__(self) -> None:
        self._console = Console(width=_WIDTH, highlight=False)

    def head(self, text: str) -> None:
        """Begin a step."""
        self._console.print("")
        self._console.print(Text(shown(text), "bold"))

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self._console.print(Text(shown(text)))

    def table(self, table: RenderableType) -> None:
        """Print a table."""
        self._console.print(table)

    def check(self, text: str, *, holds: bool) -> None:
        """Print what holds. Raises :class:`DaenaKMSError` if it does not hold."""
        if not holds:
            raise DaenaKMSError(f"the demo expected this, but it does not hold: {text}")
        self._console.print(Text.assemble("  ", ("yes", "green"), "  ", shown(text)))


@contextlib.contextmanager
def scratch(page: Page, *, keep: bool) -> Iterator[Path]:
    """Yield a temporary folder, which is removed at the end unless ``keep`` is set."""
    folder = Path(tempfile.mkdtemp(prefix="daena-kms-demo-"))
    try:
        yield folder
    finally:
        if keep:
            page.say(f"The files are in {folder}")
        else:
            shutil.rmtree(folder)
