"""Write one run's records: each is durable before the next, which holds its hash."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from daena_kms.audit.bounds import MAX_OBJECT
from daena_kms.audit.reader import Tail
from daena_kms.audit.records import (
    CLOSING,
    CLOSING_SEQ,
    FORMAT,
    INTENT,
    MAX_ACTIONS,
    MAX_UNRESOLVED,
    OUTCOME,
    RECOVERY,
    Context,
    digest,
    encode,
    new_run_id,
    object_name,
    run_prefix,
)
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Objects
from daena_kms.rules.durations import format_time

#: In characters: a longer message is cut.
_MESSAGE = 4000


class RunWriter:
    """The only writer of one run's records, for one thread.

    Raises:
        AuditUnavailable: A record did not become durable. Every method may raise it. After that
            the run must change nothing more, and the writer refuses to write.
    """

    def __init__(self, objects: Objects, context: Context, clock: Callable[[], datetime]) -> None:
        self.run_id = new_run_id()
        self.prefix = run_prefix(self.run_id, clock())
        self._objects = objects
        self._context = context
        self._clock = clock
        self._hashes: list[str] = []
        self._broken = False

    @property
    def provider(self) -> str:
        """The kind of store that the run is on."""
        return self._context.provider

    def intent(self, actions: Iterable[Mapping[str, Any]]) -> list[str]:
        """Write what will be done, before any of it.

        Returns:
            For each action the object that holds it, as ``name@hash``.
        """
        refs: list[str] = []
        for part, data in self._parts(INTENT, "actions", list(actions)):
            name = self._put_next(data)
            refs += [f"{name}@{self._hashes[-1]}"] * len(part)
        return refs

    def outcome(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Write what became of some actions."""
        for _, data in self._parts(OUTCOME, "results", [_shortened(row) for row in results]):
            self._put_next(data)

    def recovery(self, runs: Mapping[str, list[str]], results: Iterable[Mapping[str, Any]]) -> None:
        """Write the hashes of runs without a closing record, and what became of their actions."""
        rows = [_shortened(row) for row in results]
        for first in range(0, max(1, len(rows)), MAX_ACTIONS):
            more = {"runs": dict(runs) if first == 0 else {}}
            part = rows[first : first + MAX_ACTIONS]
            for _, data in self._parts(RECOVERY, "results", part, **more):
                self._put_next(data)

    def close(
        self, tail: Tail, unresolved: Iterable[Mapping[str, Any]], counts: Mapping[str, int]
    ) -> int:
        """Write the closing record: all hashes of this run, and the closing records before it.

        Returns:
            How many of the unresolved actions it has no room for; ``counts`` says so, too.
        """
        every = list(unresolved)
        room = min(len(every), MAX_UNRESOLVED)
        while True:
            left = {"not_passed_on": len(every) - room} if room < len(every) else {}
            content = {
                "objects": list(self._hashes),
                "saw": dict(tail.saw),
                "open": dict(tail.unclosed),
                "unresolved": every[:room],
                "counts": {**counts, **left},
            }
            data = self._encoded(CLOSING, CLOSING_SEQ, content)
            if len(data) <= MAX_OBJECT or not room:
                break
            room //= 2
        self._put_checked(object_name(self.prefix, CLOSING_SEQ), data)
        return len(every) - room

    def _parts(
        self, kind: str, member: str, rows: list[Mapping[str, Any]], **more: object
    ) -> Iterator[tuple[list[Mapping[str, Any]], bytes]]:
        """Yield records that hold the rows in order, none larger than a run reads.

        A record has to be written before the next is taken.
        """
        data = self._encoded(kind, len(self._hashes), {member: rows, **more})
        if len(data) <= MAX_OBJECT or len(rows) <= 1:
            yield rows, data
            return
        half = len(rows) // 2
        yield from self._parts(kind, member, rows[:half], **more)
        rest: dict[str, object] = {name: {} for name in more}
        yield from self._parts(kind, member, rows[half:], **rest)

    def _encoded(self, kind: str, seq: int, content: Mapping[str, Any]) -> bytes:
        return encode(
            {
                "v": FORMAT,
                "type": kind,
                "run": self.run_id,
                "seq": seq,
                "time": format_time(self._clock()),
                "prev_hash": self._hashes[-1] if self._hashes else None,
                "provider": self._context.provider,
                "trigger": self._context.trigger,
                "principal": self._context.principal,
                "reason": self._context.reason,
                **content,
            }
        )

    def _put_next(self, data: bytes) -> str:
        name = object_name(self.prefix, len(self._hashes))
        self._put_checked(name, data)
        self._hashes.append(digest(data))
        return name

    def _put_checked(self, name: str, data: bytes) -> None:
        if self._broken:
            msg = "the audit log failed earlier in this run, so nothing more is written to it"
            raise AuditUnavailable(msg, todo="Run again when the log can be written")
        if len(data) > MAX_OBJECT:
            msg = f"a record of {len(data):,} bytes is larger than the {MAX_OBJECT:,} of the log"
            raise AuditUnavailable(msg, todo="Give a shorter reason, or name fewer keys at once")
        self._broken = True
        self._put(name, data)
        self._broken = False

    def _put(self, name: str, data: bytes) -> None:
        if self._objects.create(name, data, len(data) + 1) != data:
            msg = f"the audit object {name} exists already, and this run did not write it"
            raise AuditUnavailable(msg, todo="Run audit verify")


def _shortened(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result with a message that leaves room for others in a record."""
    message = row.get("message")
    if not isinstance(message, str) or len(message) <= _MESSAGE:
        return row
    return {**row, "message": f"{message[:_MESSAGE]}…"}
