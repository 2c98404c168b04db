"""What the worlds of simulated clouds share: numbered calls, faults, a clock, stale listings."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http.client import RemoteDisconnected
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from daena_kms.errors import DaenaKMSError
from daena_kms.objects.cloud import CloudObjects
from daena_kms.sdk.rest import Answer

from infra.local.faults import CallLog, Faults, How, Predicate
from infra.local.http_server import Request, Response
from tests.worlds.base import FaultWorld
from tests.worlds.memory import MemoryObjects
from tests.worlds.seam import Effect

_READING = ("List", "Get", "Head", "Describe", "Access", "Generate")
#: More calls than any operation makes.
FOR_EVER = 1_000_000


class Simulator(Protocol):
    """What a simulator offers to the worlds."""

    calls: CallLog
    faults: Faults

    def ask(self, request: Request) -> Response | None:
        """Answer a client in this process as one on the wire."""

    def now(self) -> datetime:
        """Return the simulated time."""

    def shift_clock(self, *, seconds: float) -> None:
        """Move the simulated time."""

    def set_latency(self, seconds: float) -> None:
        """Let each call take so long."""

    def freeze_listing(self) -> None:
        """Let listings answer as they would now."""

    def unfreeze_listing(self) -> None:
        """Let listings answer live again."""


class _Here:
    """Sends what lists objects to a simulator in this process: a call instead of a connection."""

    def __init__(self, ask: Callable[[Request], Response | None]) -> None:
        self._ask = ask

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send one request; what it asks and how it is authorized is as on the wire."""
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, **headers}
        sent = Request.sent(method, f"{parts.path}?{parts.query}", headers, body or b"")
        got = self._ask(replace(sent, waits=False))
        if got is None:
            raise RemoteDisconnected("the simulator ended the connection")
        answered = {name.lower(): text for name, text in got.sent_headers().items()}
        return Answer(got.status, answered, got.body)


class CloudWorld[S: Simulator](FaultWorld):
    """A world in a simulator, to which no client repeats a call: each fault reaches its caller."""

    #: The simulator's services that are the store; the others are its log, claims and logins.
    services: ClassVar[frozenset[str]]
    #: The operation on the store that puts an object into the log.
    puts: ClassVar[str]
    #: How a call that fails shows itself. Some SDK repeats a reading call that was cut off.
    how: ClassVar[How] = How.DROP
    #: Whether the store's own dates matter: then its clock is at the time of the last call.
    dated: ClassVar[bool] = False

    def __init__(self, sim: S) -> None:
        super().__init__()
        self.sim = sim
        self._moving = threading.Lock()

    def listed_here(self, log: CloudObjects, *, wire: bool) -> CloudObjects:
        """Return a place of objects that is listed by a call, unless everything is on the wire.

        A run asks for many more listings than it puts and reads objects.
        """
        if not wire:
            asker: Any = log._listed()._ask
            asker._way = _Here(self.sim.ask)
        return log

    def at(self, after: timedelta = timedelta()) -> datetime:
        """Return this time, and move the simulated clock to it where its dates matter."""
        now = super().at(after)
        if self.dated:
            with self._moving:
                self.sim.shift_clock(seconds=(now - self.sim.now()).total_seconds())
        return now

    def wait(self, time: timedelta) -> None:
        """Move the simulated clock on."""
        self.sim.shift_clock(seconds=time.total_seconds())

    def calls(self) -> int:
        """Return how many calls came in."""
        return len(self.sim.calls)

    def store_calls(self) -> list[str]:
        """Return the operations on the store."""
        return [call.operation for call in self.sim.calls if call.service in self.services]

    def writes(self) -> list[int]:
        """Return the numbers of the calls that are no reading ones by their name."""
        return [c.index for c in self.sim.calls if not c.operation.startswith(_READING)]

    def mend(self) -> None:
        """Let every call pass."""
        self.sim.faults.clear()

    def arm(self, at: int, effect: Effect) -> None:
        """Plan the faults; a process that was killed is one of which no further call arrives."""
        self.mend()
        self.sim.calls.clear()
        if at == 0:
            return
        faults, how = self.sim.faults, self.how
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
        faults, seen = self.sim.faults, threading.Event()
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


def stored(objects: Iterable[tuple[str, bytes]]) -> MemoryObjects:
    """Return objects as a log that is read without a call."""
    found = MemoryObjects()
    found.stored = dict(objects)
    return found
