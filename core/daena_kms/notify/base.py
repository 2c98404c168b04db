"""The seam between events and where they go: an event, a sink, and how sending fails."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from daena_kms.rules.durations import format_time


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as CloudEvents 1.0 describes it. It never holds a key's value.

    ``id`` depends only on the run, the key and the type, so that a receiver can drop a duplicate.
    It holds no full stop, because Standard Webhooks separates what it signs by full stops.
    """

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    data: Mapping[str, Any]

    def encode(self) -> bytes:
        """Return the event in CloudEvents' JSON format, structured mode; always the same bytes."""
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "subject": self.subject,
            "time": format_time(self.time),
            "datacontenttype": "application/json",
            "data": dict(self.data),
        }
        return json.dumps(attributes, sort_keys=True, separators=(",", ":")).encode("ascii")


class Then(Enum):
    """What to do after an event was not delivered."""

    #: Send this event again: the receiver may have been busy.
    RETRY = "retry"
    #: Go on with the next event: only this one was refused.
    NEXT = "next"
    #: Send nothing more to this receiver.
    STOP = "stop"


class Undelivered(Exception):
    """An event was not delivered. The text holds no event, no path of an address and no secret.

    ``after`` is how many seconds the receiver asks to wait, if it does.
    """

    def __init__(self, why: str, then: Then, *, after: float | None = None) -> None:
        super().__init__(why)
        self.then = then
        self.after = after


class Sink(Protocol):
    """A destination of events: a webhook now, a cloud's own bus later."""

    def send(self, event: Event, within: float) -> None:
        """Deliver one event within so many seconds. Raises :class:`Undelivered`."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The clocks and the chance that sending needs; a test brings its own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    #: Seconds since 1970, for the receiver to compare with its own clock.
    wall: Callable[[], float] = time.time
    #: A random number from 0 to 1.
    chance: Callable[[], float] = secrets.SystemRandom().random
