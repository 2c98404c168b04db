"""How the demo talks: headings, lines and the command line's own tables."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, RenderableType

from daena_kms.errors import DaenaKMSError

_WIDTH = 110


class Page:
    """Prints to standard output; the width is fixed, so that it reads the same everywhere."""

    def __init__(self) -> None:
        self._console = Console(width=_WIDTH, highlight=False)

    def head(self, text: str) -> None:
        """Begin a step."""
        self._console.print(f"\n[bold]{text}[/bold]")

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self._console.print(text, markup=False)

    def table(self, table: RenderableType) -> None:
        """Print a table."""
        self._console.print(table)

    def check(self, text: str, *, holds: bool) -> None:
        """Print what was found true. Raises when it is not: the demo shows, it does not claim."""
        if not holds:
            raise DaenaKMSError(f"the demo expected this, and it is not so: {text}")
        self._console.print(f"  [green]yes[/green]  {text}")


@contextlib.contextmanager
def scratch(page: Page, *, keep: bool) -> Iterator[Path]:
    """Give a temporary folder, which is removed at the end unless ``keep`` is set."""
    folder = Path(tempfile.mkdtemp(prefix="daena-kms-demo-"))
    try:
        yield folder
    finally:
        if keep:
            page.say(f"The files are in {folder}")
        else:
            shutil.rmtree(folder)
