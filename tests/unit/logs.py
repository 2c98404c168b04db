"""Runs written by hand, record by record, and the clock that they are written by."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.reader import read_tail
from daena_kms.audit.records import Context, decode, encode
from daena_kms.audit.writer import RunWriter
from daena_kms.objects.base import Objects

from tests.worlds.memory import START

CONTEXT = Context("local", "schedule", "someone", "because")


class Hands:
    """A clock that moves when a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def pass_(self, **units: float) -> None:
        """Let time pass."""
        self.now += timedelta(**units)


def action(key: str = "some-key", base: str | None = "v1", kind: str = "rotate") -> dict[str, Any]:
    """Return an action as it stands in a record."""
    return {"key": key, "kind": kind, "base": base, "why": "due"}


def done(key: str = "some-key", base: str | None = "v1", new: str = "v2") -> dict[str, Any]:
    """Return the result of an action that was done."""
    return {**action(key, base), "result": "done", "new_version": new}


def write_run(
    log: Objects,
    clock: Callable[[], datetime],
    *,
    key: str = "some-key",
    closing: bool = True,
    unresolved: tuple[dict[str, Any], ...] = (),
) -> str:
    """Write a run of one action, and its closing record if asked; returns its folder."""
    tail = read_tail(log)
    writer = RunWriter(log, CONTEXT, clock)
    if tail.unreported:
        writer.recovery({prefix: tail.unclosed[prefix] for prefix in tail.unreported}, [])
    writer.intent([action(key)])
    writer.outcome([done(key)])
    if closing:
        writer.close(tail, unresolved, {"rotated": 1})
    return writer.prefix


def edited(data: bytes, **changes: object) -> bytes:
    """Return a record with other content, in the one form that records have."""
    return encode({**decode(data, "edited"), **changes})
