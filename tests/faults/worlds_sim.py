"""What the worlds of simulated clouds share: faults by number, and a clock that follows."""

import threading
from datetime import datetime, timedelta
from typing import Protocol

from daena_kms.errors import DaenaKMSError

from infra.local.faults import CallLog, Faults, How, Predicate
from tests.faults.seam import Effect
from tests.faults.worlds_base import FOR_EVER, World
from tests.unit.memory_log import MemoryObjects

_READING = ("List", "Get", "Head", "Describe", "Access", "Generate")


class Simulator(Protocol):
    """What a simulator offers to the worlds."""

    calls: CallLog
    faults: Faults

    def now(self) -> datetime:
        """Return the simulated time."""

    def shift_clock(self, *, seconds: float) -> None:
        """Move the simulated time."""


class SimWorld(World):
    """A world in a simulator, to which no client repeats a call: each fault reaches its caller."""

    #: How a call that fails shows itself. Some SDK repeats a reading call that was cut off.
    how = How.DROP

    def __init__(self, sim: Simulator) -> None:
        super().__init__()
        self._sim = sim

    def calls(self) -> int:
        """Return how many calls came in."""
        return len(self._sim.calls)

    def writes(self) -> list[int]:
        """Return the numbers of the calls that are no reading ones by their name."""
        return [c.index for c in self._sim.calls if not c.operation.startswith(_READING)]

    def mend(self) -> None:
        """Let every call pass."""
        self._sim.faults.clear()

    def arm(self, at: int, effect: Effect) -> None:
        """Plan the faults; a process that was killed is one of which no further call arrives."""
        self.mend()
        self._sim.calls.clear()
        if at == 0:
            return
        faults, how = self._sim.faults, self.how
        match effect:
            case Effect.BEFORE:
                faults.fail_before(at, how=how)
            case Effect.AFTER:
                faults.fail_after(at, how=how)
            case Effect.KILLED_BEFORE:
                faults.fail_before(at, times=FOR_EVER, how=how)
            case Effect.KILLED_AFTER:
                faults.fail_after(at, how=how)
                faults.fail_before(at + 1, times=FOR_EVER, how=how)

    def arm_at(self, effect: Effect, when: Predicate) -> None:
        """Let the process end before, or after, the first call that this is about."""
        self.mend()
        faults, seen = self._sim.faults, threading.Event()
        after = effect is Effect.KILLED_AFTER

        def from_then_on(service: str, operation: str) -> bool:
            if not seen.is_set() and when(service, operation):
                seen.set()
                return not after
            return seen.is_set()

        if after:
            faults.fail_after(1, when=when, how=self.how)
        faults.fail_before(1, when=from_then_on, times=FOR_EVER, how=self.how)

    def died(self, after: timedelta, key_id: str) -> bool:
        """Rotate a key by name, end every fault, and return whether that ended before its time."""
        try:
            self.run(after, keys=[key_id])
        except DaenaKMSError:
            return True
        finally:
            self.mend()
        return False


class DatedWorld(SimWorld):
    """A world whose store's own dates matter: its clock is at the time of the last call."""

    def __init__(self, sim: Simulator) -> None:
        super().__init__(sim)
        self._moving = threading.Lock()

    def at(self, after: timedelta = timedelta()) -> datetime:
        """Return this time, and move the simulated clock to it."""
        now = super().at(after)
        with self._moving:
            self._sim.shift_clock(seconds=(now - self._sim.now()).total_seconds())
        return now


def held_by(objects: dict[str, bytes]) -> MemoryObjects:
    """Return objects as a log that is read without a call."""
    found = MemoryObjects()
    found.data = objects
    return found
