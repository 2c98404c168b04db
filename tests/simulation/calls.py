"""One process's way to its store and log: each call takes time, and some go wrong."""

import random
from collections.abc import Callable, Iterator
from enum import StrEnum

from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import Entry, Objects

from tests.simulation.scheduler import Process


class Fault(StrEnum):
    """What becomes of one call."""

    #: It never arrives.
    LOST = "lost"
    #: It takes effect, and its answer is lost.
    ANSWER_LOST = "answer lost"
    #: It takes no effect, and the answer says that the service had an error.
    ERROR = "error"
    #: It takes no effect, and the answer says that there were too many.
    THROTTLED = "throttled"
    #: The process ends before it.
    KILLED = "killed"
    #: The process ends right after it took effect.
    KILLED_AFTER = "killed after"
    #: It takes half a minute to arrive.
    SLOW = "slow"


_AFTER = {Fault.ANSWER_LOST, Fault.KILLED_AFTER}
_BEFORE = {Fault.LOST, Fault.ERROR, Fault.THROTTLED}


class Calls:
    """The calls of one process, in order; ``faults`` are by their numbers, from 1."""

    def __init__(
        self,
        process: Process,
        draw: random.Random,
        faults: dict[int, Fault],
        observe: Callable[[str], None],
    ) -> None:
        self.process = process
        self.made: list[str] = []
        self._draw = draw
        self._faults = faults
        self._observe = observe

    def make[T](self, name: str, effect: Callable[[], T], wrong: Callable[[Fault], T]) -> T:
        """Make one call.

        ``wrong`` returns or raises what the client of a store shows where the answer is none.
        """
        self.made.append(name)
        fault = self._faults.get(len(self.made))
        self.process.wait(30 if fault is Fault.SLOW else self._draw.expovariate(20))
        if fault is Fault.KILLED:
            self.process.die()
        if fault in _BEFORE:
            return wrong(fault)
        result: T | None = None
        error: Exception | None = None
        try:
            result = effect()
        except Exception as refused:  # noqa: BLE001 - a refusal is an answer, and may be lost too
            error = refused
        self._observe(name)
        if fault is Fault.KILLED_AFTER:
            self.process.die()
        self.process.wait(self._draw.expovariate(20))
        if fault in _AFTER:
            return wrong(fault)
        if error is not None:
            raise error
        return result  # type: ignore[return-value] # there is one where there is no error

    def pass_through[T](self, name: str, call: Callable[[], T], error: type[DaenaKMSError]) -> T:
        """Make a call whose failure is an error of ours, as the local store's seam does."""

        def wrong(fault: Fault) -> T:
            raise error(f"the call failed ({fault})", todo="It was meant to")

        return self.make(name, call, wrong)


class SimulatedObjects(Objects):
    """One process's view of objects that several share."""

    def __init__(
        self, inner: Objects, calls: Callable[[], Calls], error: type[DaenaKMSError]
    ) -> None:
        self.url = inner.url
        self._inner = inner
        self._calls = calls
        self._error = error

    def _make[T](self, name: str, call: Callable[[], T]) -> T:
        return self._calls().pass_through(name, call, self._error)

    def put_new(self, name: str, data: bytes) -> None:
        """Put."""
        self._make("put", lambda: self._inner.put_new(name, data))

    def get(self, name: str) -> bytes | None:
        """Get."""
        return self._make("get", lambda: self._inner.get(name))

    def entries(self, prefix: str) -> list[Entry]:
        """List all below."""
        return list(self.scan(prefix))

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """List all below."""
        yield from self._make("scan", lambda: list(self._inner.scan(prefix, after)))

    def children(self, prefix: str) -> list[str]:
        """List folders."""
        return self._make("children", lambda: self._inner.children(prefix))
