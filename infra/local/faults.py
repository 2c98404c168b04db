"""What a simulated service records about its calls, and the faults a test can plan for it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, StrEnum
from typing import Any

type Predicate = Callable[[str, str], bool]
"""Says whether a fault concerns a call, given its service and operation."""


@dataclass(slots=True)
class Call:
    """One call as it arrived; values of secrets are not part of it."""

    index: int
    service: str
    operation: str
    params: Mapping[str, object]
    access_key: str
    outcome: str = "under way"
    """``ok``, an error code, ``failed before``, ``failed after`` or ``hanging``."""

    @property
    def principal(self) -> str:
        """Who called, where callers have tokens and no access keys."""
        return self.access_key


class CallLog:
    """The calls in order of arrival; safe to read while calls come in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(
        self, service: str, operation: str, params: Mapping[str, object], access_key: str
    ) -> Call:
        """Record a call and return the record, for its outcome to be filled in."""
        with self._lock:
            call = Call(len(self._calls) + 1, service, operation, params, access_key)
            self._calls.append(call)
            return call

    def clear(self) -> None:
        """Forget every call; the next one has index 1."""
        with self._lock:
            self._calls = []

    def __iter__(self) -> Iterator[Call]:
        with self._lock:
            return iter(list(self._calls))

    def __len__(self) -> int:
        with self._lock:
            return len(self._calls)

    def operations(self) -> list[str]:
        """Return the operations' names in order of arrival."""
        return [call.operation for call in self]

    def counts(self) -> Counter[str]:
        """Return how often each operation was called."""
        return Counter(self.operations())

    def as_json(self) -> list[dict[str, Any]]:
        """Return the calls as plain data."""
        return [asdict(call) for call in self]


class How(StrEnum):
    """How a planned failure shows itself to the client."""

    DROP = "drop"
    """The connection ends without an answer."""
    ERROR = "error"
    """The service's own internal error, status 500."""


class Effect(Enum):
    """What a fault does to the call it hits."""

    FAIL_BEFORE = "failed before"
    FAIL_AFTER = "failed after"
    HANG = "hanging"
    DENY = "denied"
    THROTTLE = "throttled"
    STALE = "stale"


def _any_call(_service: str, _operation: str) -> bool:
    return True


def only(service: str | None, operation: str | None) -> Predicate:
    """Match one service, one operation, or both; None matches any."""
    return lambda s, o: service in (None, s) and operation in (None, o)


@dataclass(slots=True)
class Fault:
    """A planned fault: hits ``times`` matching calls in a row, from the ``first`` on."""

    effect: Effect
    when: Predicate = _any_call
    first: int = 1
    times: int | None = 1
    how: How = How.DROP
    seen: int = 0
    retry_after: int | None = None

    def hits(self, service: str, operation: str) -> bool:
        """Count a call, and say whether this fault concerns it."""
        if not self.when(service, operation):
            return False
        self.seen += 1
        return self.seen >= self.first and (
            self.times is None or self.seen < self.first + self.times
        )


@dataclass
class TokenBucket:
    """A rate limit that lets through at most one second's worth at once."""

    rate: float
    monotonic: Callable[[], float]
    tokens: float = field(init=False)
    filled: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = max(1.0, self.rate)
        self.filled = self.monotonic()

    def take(self) -> bool:
        """Take a token if there is one."""
        now = self.monotonic()
        self.tokens = min(max(1.0, self.rate), self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Faults:
    """The planned faults. ``n`` counts matching calls over all services, from arming, from 1."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._planned: list[Fault] = []
        self._denied: set[str] = set()
        self._rate: float | None = None
        self._retry_after: int | None = None
        self._buckets: dict[str, TokenBucket] = {}

    def fail_before(
        self, n: int = 1, *, when: Predicate = _any_call, times: int = 1, how: str = How.DROP
    ) -> None:
        """Fail the nth matching call, and the ``times - 1`` after it, before it takes effect."""
        self._plan(Fault(Effect.FAIL_BEFORE, when, n, times, How(how)))

    def fail_after(
        self, n: int = 1, *, when: Predicate = _any_call, times: int = 1, how: str = How.DROP
    ) -> None:
        """Let the nth matching call take effect, then lose its answer."""
        self._plan(Fault(Effect.FAIL_AFTER, when, n, times, How(how)))

    def hang(self, n: int = 1, *, when: Predicate = _any_call, times: int = 1) -> None:
        """Never answer the nth matching call, until the server stops."""
        self._plan(Fault(Effect.HANG, when, n, times))

    def throttle(
        self, times: int, *, when: Predicate = _any_call, retry_after: int | None = None
    ) -> None:
        """Answer the next ``times`` matching calls with the service's throttling error.

        ``retry_after`` is the answer's header of that name, in seconds.
        """
        self._plan(Fault(Effect.THROTTLE, when, 1, times, retry_after=retry_after))

    def stale(self, n: int = 1, *, when: Predicate = _any_call, times: int = 1) -> None:
        """Let the nth matching call answer as if the last write had not been.

        Only for a service that says what that means for it.
        """
        self._plan(Fault(Effect.STALE, when, n, times))

    def deny(self, operation: str) -> None:
        """Refuse an operation for lack of permission, until ``allow``."""
        with self._lock:
            self._denied.add(operation)

    def allow(self, operation: str) -> None:
        """End a ``deny``."""
        with self._lock:
            self._denied.discard(operation)

    def quota(self, writes_per_second: float | None, retry_after: int | None = None) -> None:
        """Throttle what exceeds this rate in each of a service's quota groups; None lifts it."""
        with self._lock:
            self._rate = writes_per_second
            self._retry_after = retry_after
            self._buckets = {}

    def clear(self) -> None:
        """Forget every fault, refusal and quota."""
        with self._lock:
            self._planned = []
            self._denied = set()
        self.quota(None)

    def next(self, service: str, operation: str, group: str | None) -> Fault | None:
        """Count a call against everything planned, and return what is to happen to it."""
        with self._lock:
            # Every fault counts every call, also one that another fault has already hit.
            hits = [fault for fault in self._planned if fault.hits(service, operation)]
            if hits:
                return hits[0]
            if operation in self._denied:
                return Fault(Effect.DENY)
            if self._rate is not None and group is not None:
                bucket = self._buckets.setdefault(group, TokenBucket(self._rate, self._monotonic))
                if not bucket.take():
                    return Fault(Effect.THROTTLE, retry_after=self._retry_after)
            return None

    def _plan(self, fault: Fault) -> None:
        with self._lock:
            self._planned.append(fault)
