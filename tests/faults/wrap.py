"""Faults at every call: before it, after it took effect, and a process that dies there."""

from collections.abc import Callable
from typing import cast

from daena_kms.audit.objects import Entry, Objects
from daena_kms.errors import AuditUnavailable, StoreUnavailable
from daena_kms.stores.base import Store

from tests.contract.harness import AwsHarness, Harness

PRIMITIVES = frozenset(
    {
        *("scan", "describe", "read", "create", "stage", "promote", "abandon"),
        *("retire", "destroy", "tag", "adopt", "delete", "restore"),
    }
)


class Killed(BaseException):
    """The process is no more: nothing that it does after this takes effect."""


class Fault:
    """Counts calls, and breaks call number ``at`` in one of the ways below. 0 breaks none.

    ``before``: the call fails and has no effect. ``after``: it takes effect and its answer is
    lost. ``killed-before`` and ``killed-after``: as these, and then every later call is dead.
    """

    def __init__(self, at: int, how: str) -> None:
        self.count = 0
        self.dead = False
        self._at = at
        self._after = how.endswith("after")
        self._kills = how.startswith("killed")

    def around[T](self, call: Callable[[], T], failure: type[Exception]) -> T:
        """Make the call, or break it."""
        if self.dead:
            raise Killed
        self.count += 1
        if self.count != self._at:
            return call()
        self.dead = self._kills
        if self._after:
            call()
        if self._kills:
            raise Killed
        raise failure("the test broke this call")


class FaultyObjects(Objects):
    """A log whose puts can be broken."""

    def __init__(self, inner: Objects, fault: Fault) -> None:
        self._inner = inner
        self._fault = fault
        self.url = inner.url

    def put_new(self, name: str, data: bytes) -> None:
        """Put, or break."""
        self._fault.around(lambda: self._inner.put_new(name, data), AuditUnavailable)

    def get(self, name: str) -> bytes | None:
        """Read: reading has no effect to lose."""
        return self._inner.get(name)

    def entries(self, prefix: str) -> list[Entry]:
        """List."""
        return self._inner.entries(prefix)

    def children(self, prefix: str) -> list[str]:
        """List."""
        return self._inner.children(prefix)


class _FaultyStore:
    """A store each of whose primitives can be broken."""

    def __init__(self, inner: Store, fault: Fault) -> None:
        self._inner = inner
        self._fault = fault

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name not in PRIMITIVES:
            return found

        def broken(*arguments: object, **options: object) -> object:
            def call() -> object:
                result = found(*arguments, **options)
                return list(result) if name == "scan" else result

            return self._fault.around(call, StoreUnavailable)

        return broken


def break_primitives(harness: Harness, fault: Fault) -> Callable[[], None]:
    """Put the fault around the store's primitives and the log; return what takes it off."""
    store, log = harness.adapter.store, harness.log
    harness.adapter.store = cast("Store", _FaultyStore(store, fault))
    harness.log = FaultyObjects(log, fault)

    def mend() -> None:
        harness.adapter.store, harness.log = store, log

    return mend


def break_wire(
    harness: AwsHarness, at: int, how: str
) -> tuple[Callable[[], int], Callable[[], None]]:
    """Break the ``at``-th call on the wire; return the count of calls and what takes it off.

    A killed process writes no log either, so the log dies with the wire.
    """
    faults, log = harness.sim.faults, harness.log
    grave = Fault(0, how)
    harness.log = FaultyObjects(log, grave)
    seen = 0

    def step(*_: str) -> bool:
        nonlocal seen
        seen += 1
        if seen == at and how.startswith("killed"):
            grave.dead = True
        return seen == at

    def dead(*_: str) -> bool:
        return grave.dead and seen != at

    if how.endswith("after"):
        faults.fail_after(1, when=step)
    else:
        faults.fail_before(1, when=step)
    faults.fail_before(1, when=dead, times=1_000_000)

    def mend() -> None:
        faults.clear()
        harness.log = log

    return (lambda: seen), mend
