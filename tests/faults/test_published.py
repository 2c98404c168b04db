"""docs/FAULTS.md shows the numbers that the operations have."""

from pathlib import Path

from tests.faults.operations import OPERATIONS
from tests.faults.operations_emergency import Compromised
from tests.faults.published import NAMES, table
from tests.simulation.history import FAULTS, WHAT

DOCUMENT = (Path(__file__).parents[2] / "docs" / "FAULTS.md").read_text()


def test_the_table_is_that_of_the_matrix() -> None:
    """Counted now, on each store; python -m tests.faults.published prints it."""
    assert set(NAMES) == {kind.__name__ for kind in (*OPERATIONS, Compromised)}
    assert table() in DOCUMENT


def test_it_names_what_histories_are_made_of() -> None:
    """Every fault and every operation that one may have."""
    for name in (*FAULTS, *WHAT):
        assert f"`{name}`" in DOCUMENT, name
