"""What is wrong with a log, in a report that stays short however much is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daena_kms.audit.records import ROOT
from daena_kms.objects.base import ascii_name
from daena_kms.rules.plan import Outcome

#: So many problems of one kind are named; the rest is counted.
_NAMED = 50
#: So many objects that were passed over are named.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the log; ``name`` is the object or the run that is wrong."""

    name: str
    what: str


class Problems:
    """Problems, each named once, and a bounded number of each kind."""

    def __init__(self) -> None:
        self._named: dict[str, dict[Problem, None]] = {}
        self._more: dict[str, int] = {}

    def add(self, name: str, what: str, kind: str | None = None) -> None:
        """Note a problem.

        Args:
            name: The object or the run.
            what: What is wrong with it.
            kind: What stands for this kind of problem when there are many; by default ``what``.
        """
        kind = kind or what
        named = self._named.setdefault(kind, {})
        problem = Problem(name, what)
        if problem in named:
            return
        if len(named) < _NAMED:
            named[problem] = None
        else:
            self._more[kind] = self._more.get(kind, 0) + 1

    def all(self) -> list[Problem]:
        """Return the problems in the order in which they were found, kind by kind."""
        found: list[Problem] = []
        for kind, named in self._named.items():
            found += named
            if kind in self._more:
                found.append(Problem(ROOT, f"and {self._more[kind]:,} more of this kind: {kind}"))
        return found


class PassedOver:
    """Objects that are named like records and are none: a list of entries passes over them."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._count = 0

    def add(self, name: str) -> None:
        """Note an object."""
        self._count += 1
        if len(self._names) < _SHOWN:
            self._names.append(name)

    def note(self) -> str | None:
        """Return for people what was passed over, or ``None``."""
        if not self._count:
            return None
        more = f" and {self._count - _SHOWN:,} more" if self._count > _SHOWN else ""
        return (
            f"passed over {self._count:,} objects that no run wrote so, and their entries are not "
            f"shown: {', '.join(self._names)}{more}. Run audit verify"
        )


class GivenUp:
    """The actions that runs have given up: for a week nothing showed what became of them."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._count = 0

    def add(self, name: str, row: Mapping[str, Any]) -> None:
        """Note a result of a run, if it is such a one.

        Args:
            name: The object that holds it.
            row: The result.
        """
        if row["result"] != Outcome.GONE:
            return
        self._count += 1
        if len(self._notes) >= _NAMED:
            return
        leaked = row.get("compromised") is True
        what = "revocation" if leaked else ascii_name(str(row["kind"]))
        version = f" (version {ascii_name(str(row['version']))})" if row.get("version") else ""
        note = (
            f"{name}: the {what} of {ascii_name(str(row['key']))}{version} was left unresolved, "
            "and for a week the store showed neither that it was done nor that it was not: no run "
            "looks any more"
        )
        if leaked:
            note += ". If the key comes back, look at that version with show"
        self._notes.append(note)

    def notes(self) -> list[str]:
        """Return a note on each of them, up to a number."""
        return shortened(self._notes, self._count)


def shortened(notes: list[str], count: int) -> list[str]:
    """Return the notes, and how many there are beyond those that were kept."""
    return [*notes, f"and {count - len(notes):,} more like this"] if count > len(notes) else notes
