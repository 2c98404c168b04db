"""One measured figure with its target, and the table of all of them."""

import json
import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_COLUMNS = ("figure", "measured", "target", "verdict", "context (absolute times are noise)")


class Must(StrEnum):
    """How a figure has to stand to its target."""

    BE = "="
    BE_AT_MOST = "≤"
    BE_UNDER = "<"
    BE_AT_LEAST = "≥"


_HOLDS: dict[Must, Callable[[float, float], bool]] = {
    Must.BE: operator.eq,
    Must.BE_AT_MOST: operator.le,
    Must.BE_UNDER: operator.lt,
    Must.BE_AT_LEAST: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured and what it has to be. Without a target it is context, and never fails."""

    name: str
    measured: float
    must: Must | None = None
    target: float | None = None
    unit: str = ""
    context: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is met, on the number as measured and not as shown."""
        if self.must is None or self.target is None:
            return True
        return _HOLDS[self.must](self.measured, self.target)

    @property
    def verdict(self) -> str:
        """The verdict in a word; empty for context."""
        if self.must is None:
            return ""
        return "ok" if self.met else "MISSED"

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        target = f"{self.must} {_number(self.target)}" if self.target is not None else ""
        return self.name, _number(self.measured) + self.unit, target, self.verdict, self.context

    def plain(self) -> dict[str, object]:
        """Return the figure as JSON takes it."""
        return {
            "name": self.name,
            "measured": self.measured,
            "must": self.must,
            "target": self.target,
            "unit": self.unit.strip(),
            "met": self.met if self.must is not None else None,
            "context": self.context,
        }


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """Return the figures that miss their target."""
    return [figure for figure in figures if not figure.met]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as text in columns."""
    rows = [_COLUMNS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def as_json(figures: Sequence[Figure]) -> str:
    """Return the figures as JSON."""
    content = {"figures": [f.plain() for f in figures], "met": not missed(figures)}
    return json.dumps(content, ensure_ascii=False, indent=2)


def best_of(measure: Callable[[], Sequence[Figure]], attempts: int = 2) -> Sequence[Figure]:
    """Return the first measurement that meets its targets, or the last.

    Other work on the machine only ever worsens a ratio of times, so one miss proves nothing. Never
    for counts.
    """
    for attempt in range(1, attempts + 1):
        figures = measure()
        if not missed(figures) or attempt == attempts:
            return figures
        for figure in missed(figures):
            print(f"measured again, a miss: {' '.join(figure.cells()[:3])}", file=sys.stderr)
    raise ValueError(attempts)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"
