"""How much of the log a run reads before it works, whatever lies in it.

Whoever may add to the log may add a million objects, or one of two gigabytes. So a run reads the
log only through a :class:`BoundedLog`, which stops when the :class:`ReadBudget` is spent.
"""

from collections.abc import Callable
from itertools import islice

from daena_kms.objects.base import Entry, Objects

#: How many calls, and how many bytes of objects and listings, a run spends on reading the log.
MAX_CALLS = 250
MAX_BYTES = 16_000_000
#: In bytes. Larger objects are neither written nor read by runs.
MAX_OBJECT = 1 << 20
#: So many calls are made however little time there is: an ordinary log takes no more, and a run in
#: a hurry must still pass on what others left.
_UNTIMED = 16
#: A listing returns at most this many names in one call.
_PAGE = 1000
#: At most this many names of one folder are listed.
_MAX_LISTED = 10 * _PAGE
#: What a name costs in a listing beside itself.
_LISTED_BYTES = 64


class Spent(Exception):
    """The budget is spent: nothing more may be read."""


class ReadBudget:
    """What may still be read of the log: calls, bytes and time.

    Args:
        over: Returns whether the time for reading is over.
        calls: How many calls may be made.
        size: How many bytes may be read.
        within: The budget of which this is a part; what is spent here is spent there, too.
    """

    def __init__(
        self,
        over: Callable[[], bool] = bool,
        calls: int = MAX_CALLS,
        size: int = MAX_BYTES,
        within: "ReadBudget | None" = None,
    ) -> None:
        self._over = over
        self._within = within
        self._calls = calls
        self._size = size
        self.calls = 0
        self.size = 0

    def part(self, calls: int, size: int) -> "ReadBudget":
        """Return a budget of at most this much, within this one."""
        return ReadBudget(bool, calls, size, self)

    def left(self) -> tuple[int, int]:
        """Return how many calls may still be made, and how many bytes read.

        Raises:
            Spent: None.
        """
        calls, size = self._calls - self.calls, self._size - self.size
        if calls <= 0 or size <= 0 or (self.calls >= _UNTIMED and self._over()):
            raise Spent
        if self._within is not None:
            outer_calls, outer_size = self._within.left()
            return min(calls, outer_calls), min(size, outer_size)
        return calls, size

    def spend(self, calls: int, size: int) -> None:
        """Count what was read."""
        self.calls += calls
        self.size += size
        if self._within is not None:
            self._within.spend(calls, size)


class BoundedLog:
    """The log, read within a budget.

    Every method raises :class:`Spent` when nothing more may be read, and ``AuditUnavailable`` when
    the log can't be read.
    """

    def __init__(self, objects: Objects, budget: ReadBudget) -> None:
        self._objects = objects
        self.budget = budget
        #: How many objects and names were passed over because no run writes so large ones or so
        #: many.
        self.passed_over = 0

    def part(self, calls: int, size: int) -> "BoundedLog":
        """Return the same log within a part of the budget."""
        return BoundedLog(self._objects, self.budget.part(calls, size))

    def children(self, prefix: str) -> list[str]:
        """List the folders in a folder."""
        self.budget.left()
        names = self._objects.children(prefix)
        self._listed(names)
        return names

    def entries(self, prefix: str) -> list[Entry]:
        """List the objects in a folder, as many of them as a run lists, ordered by name."""
        calls, _ = self.budget.left()
        limit = min(_MAX_LISTED, calls * _PAGE)
        found = list(islice(self._objects.scan(prefix), limit))
        if len(found) == limit:
            self.passed_over += 1
        self._listed([entry.name for entry in found])
        return sorted(found, key=lambda entry: entry.name)

    def get(self, name: str) -> bytes | None:
        """Return an object's bytes; ``None`` if it does not exist, or no run writes so many."""
        limit = self._limit()
        return self._spent(self._objects.get_up_to(name, limit + 1), limit)

    def get_listed(self, entry: Entry) -> bytes | None:
        """Return the bytes of an object that a listing has shown, as :meth:`get` does."""
        limit = self._limit()
        if entry.size is not None and entry.size > MAX_OBJECT:
            self.passed_over += 1
            return None
        if entry.size is not None and entry.size > limit:
            raise Spent
        return self._spent(self._objects.get_listed(entry, limit + 1), limit)

    def _limit(self) -> int:
        _, left = self.budget.left()
        return min(MAX_OBJECT, left)

    def _spent(self, data: bytes | None, limit: int) -> bytes | None:
        self.budget.spend(1, len(data or b""))
        if data is not None and len(data) > limit:
            self.passed_over += 1
            return None
        return data

    def _listed(self, names: list[str]) -> None:
        size = sum(len(name) + _LISTED_BYTES for name in names)
        self.budget.spend(1 + max(0, len(names) - 1) // _PAGE, size)


def bounded(objects: Objects, entry: Entry) -> bytes | None:
    """Return an object's bytes; ``None`` if it is gone, or larger than any record."""
    if entry.size is not None and entry.size > MAX_OBJECT:
        return None
    data = objects.get_listed(entry, MAX_OBJECT + 1)
    return None if data is None or len(data) > MAX_OBJECT else data
