"""The matrix of faults in numbers, for docs/FAULTS.md: ``python -m tests.faults.published``."""

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.faults.operations import OPERATIONS, Operation
from tests.faults.operations_emergency import Compromised
from tests.worlds.kinds import KINDS, open_world
from tests.worlds.seam import Effect

#: What each operation of the matrix is called in the document.
NAMES = {
    "Create": "create a key",
    "Run": "a scheduled run, one key due",
    "Several": "a scheduled run, two keys due",
    "Named": "rotate by name",
    "Retire": "retire what is past its grace",
    "Destroy": "destroy what is past `destroy-after`",
    "Rollback": "roll back",
    "Adopt": "adopt a key",
    "Delete": "delete a key",
    "Restore": "restore a key",
    "Compromised": "an emergency",
}
TITLES = {"local": "local", "aws": "AWS", "azure": "Azure", "gcp": "Google Cloud"}


class Size(NamedTuple):
    """How many calls an operation makes to the store, and how many changes to it and its log."""

    calls: int
    changes: int

    @property
    def faults(self) -> int:
        """Each change fails, or loses its answer, or is the last one of its process."""
        return 3 * self.changes


def size(store: str, kind: type[Operation]) -> Size | None:
    """Return the size of one operation on one store; ``None``: that store can't do it."""
    with tempfile.TemporaryDirectory() as folder, open_world(store, Path(folder)) as world:
        if not kind().possible(world):
            return None
        kind().prepare(world)
        world.arm(0, Effect.BEFORE)
        kind().act(world)
        return Size(len(world.store_calls()), len(world.writes()))


def table() -> str:
    """Return the table, in Markdown."""
    heads = ["operation", *(TITLES[store] for store in KINDS)]
    rows = [f"| {' | '.join(heads)} |", f"| --- {'| ---: ' * len(KINDS)}|"]
    totals = dict.fromkeys(KINDS, 0)
    for kind in (*OPERATIONS, Compromised):
        cells = []
        for store in KINDS:
            found = size(store, kind)
            cells.append("-" if found is None else f"{found.calls} / {found.changes}")
            totals[store] += 0 if found is None else found.faults
        rows.append(f"| {NAMES[kind.__name__]} | {' | '.join(cells)} |")
    rows.append(
        f"| **faults at changes** | {' | '.join(str(total) for total in totals.values())} |"
    )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
