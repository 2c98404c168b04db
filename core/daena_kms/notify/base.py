"""The seam between what happened and where it is told: an event, a sink, and how sending fails."""

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
    """One thing that happened, as CloudEvents 1.0 describes it; no value is ever in it.

    ``id`` depends on the run, the key and the type alone, so that a receiver can drop what it has
    seen. It holds no full stop: Standard Webhooks parts what it signs by them.
    """

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    data: Mapping[str, Any]

    def encode(self) -> bytes:
        """Return the event in CloudEvents' JSON format, structured mode, in one and only form."""
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
    """What follows from an event that was not delivered."""

    #: Send it again: the receiver may have been busy.
    RETRY = "retry"
    #: This one is refused; others may not be.
    NEXT = "next"
    #: Nothing more will be delivered there.
    STOP = "stop"


class Undelivered(Exception):
    """An event was not delivered. The text holds neither the event, an address's path nor a secret.

    ``after`` is how many seconds the receiver asks to wait.
    """

    def __init__(self, why: str, then: Then, *, after: float | None = None) -> None:
        super().__init__(why)
        self.then = then
        self.after = after


class Sink(Protocol):
    """Somewhere that events go: a webhook now, a cloud's own bus later."""

    def send(self, event: Event, within: float) -> None:
        """Deliver one event in that many seconds. Raises :class:`Undelivered`."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Time and chance, so that a test need not wait for either."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    #: Seconds since 1970, for the receiver to compare with its own clock.
    wall: Callable[[], float] = time.time
    #: From 0 to 1.
    chance: Callable[[], float] = secrets.SystemRandom().random
