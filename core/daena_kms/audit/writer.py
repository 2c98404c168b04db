"""Write one run's records: each is durable before the next, which holds its hash."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from daena_kms.audit.reader import Tail
from daena_kms.audit.records import (
    CLOSING,
    CLOSING_SEQ,
    FORMAT,
    INTENT,
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
from daena_kms.objects.base import AlreadyExists, Objects
from daena_kms.rules.durations import format_time


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

    def intent(self, actions: Iterable[Mapping[str, Any]]) -> None:
        """Write what will be done, before any of it."""
        self._write(INTENT, len(self._hashes), {"actions": list(actions)})

    def outcome(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Write what became of some actions."""
        self._write(OUTCOME, len(self._hashes), {"results": list(results)})

    def recovery(self, runs: Mapping[str, list[str]], results: Iterable[Mapping[str, Any]]) -> None:
        """Write the hashes of runs without a closing record, and what became of their actions."""
        self._write(RECOVERY, len(self._hashes), {"runs": dict(runs), "results": list(results)})

    def close(
        self, tail: Tail, unresolved: Iterable[Mapping[str, Any]], counts: Mapping[str, int]
    ) -> None:
        """Write the closing record: all hashes of this run, and the closing records before it."""
        self._write(
            CLOSING,
            CLOSING_SEQ,
            {
                "objects": list(self._hashes),
                "saw": dict(tail.saw),
                "open": dict(tail.unclosed),
                "unresolved": list(unresolved),
                "counts": dict(counts),
            },
        )

    def _write(self, kind: str, seq: int, content: Mapping[str, Any]) -> None:
        if self._broken:
            msg = "the audit log failed earlier in this run, so nothing more is written to it"
            raise AuditUnavailable(msg, todo="Run again when the log can be written")
        name = object_name(self.prefix, seq)
        data = encode(
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
        self._broken = True
        self._put(name, data)
        self._broken = False
        self._hashes.append(digest(data))

    def _put(self, name: str, data: bytes) -> None:
        try:
            self._objects.put_new(name, data)
        except AlreadyExists:
            # If a put's answer was lost, its retry finds its own object.
            if self._objects.get(name) != data:
                msg = f"the audit object {name} exists already, and this run did not write it"
                raise AuditUnavailable(msg, todo="Run audit verify") from None
