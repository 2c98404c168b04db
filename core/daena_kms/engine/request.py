"""What one run was asked to do: the arguments of :func:`daena_kms.engine.run`, in one object."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from daena_kms.audit.records import Context
from daena_kms.engine.clock import Budget, RunClock
from daena_kms.errors import ConfigError
from daena_kms.rules.emergency import check_emergency
from daena_kms.rules.model import Key
from daena_kms.rules.names import check_key_id
from daena_kms.stores.adapter import CloudKMSAdapter

#: The largest number of keys that are worked on at once.
MAX_WORKERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the caller asked for, and the time it may take. Survey, worker and run read it."""

    adapter: CloudKMSAdapter
    #: The keys that were named; ``None``: all managed keys of the store.
    key_ids: tuple[str, ...] | None
    #: Whether the keys that were named are rotated only if they are due.
    if_due: bool
    #: Whether the current values have leaked: each is retired right after its rotation.
    compromised: bool
    dry_run: bool
    #: Who began the run and why, for the audit log.
    context: Context
    #: How many keys are worked on at once.
    workers: int
    #: Looks that the caller took right before the run, by key id.
    looks: Mapping[str, Key]
    #: Called as ``progress(done, of)`` when keys are done.
    progress: Callable[[int, int], None]
    clock: RunClock
    budget: Budget

    @property
    def named(self) -> bool:
        """Whether the keys are rotated whether due or not, because somebody named them."""
        return self.key_ids is not None and not self.if_due

    def check(self) -> None:
        """Raise :class:`ConfigError` if the arguments are out of range or do not fit together."""
        if not 1 <= self.workers <= MAX_WORKERS:
            msg = f"workers is {self.workers!r}"
            raise ConfigError(msg, todo=f"Pass a number from 1 to {MAX_WORKERS}")
        if self.compromised:
            names_keys = self.named and bool(self.key_ids)
            check_emergency(named=names_keys, reason=self.context.reason, dry_run=self.dry_run)


def checked_ids(key_ids: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the ids without repetitions, in their order; a single id may be a plain string.

    Raises:
        InvalidKeyId: One of them does not have the form of a key id.
    """
    if key_ids is None:
        return None
    listed = [key_ids] if isinstance(key_ids, str) else key_ids
    return tuple(dict.fromkeys(check_key_id(key_id) for key_id in listed))
