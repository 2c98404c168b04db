"""A store that is older than its log: somebody put a copy of it back, or it is another one."""

import contextlib
from collections.abc import Iterable, Mapping
from itertools import chain

from daena_kms.audit.generation import claimed, newest, noted
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.stores.base import Store

#: What to do about a store that :func:`older` speaks of.
OLDER_TODO = (
    "Put the newest copy back. To go on with this one all the same, set DAENA_KMS_AUDIT_URL to a "
    "new log; the old one stays as evidence"
)
#: What an empty store says, which was never changed since it was made.
_EMPTY = 1


def _says_more(counts: Mapping[str, object]) -> bool:
    """Whether a closing record says that a store was changed. Whoever may add to the log may."""
    claim = claimed(counts)
    return claim is not None and claim[0] > _EMPTY


def counts_of(store: Store | None) -> dict[str, int]:
    """Return what a closing record notes of the store, or nothing if it does not say."""
    with contextlib.suppress(DaenaKMSError):  # the record is worth more than this note in it
        generation = store.generation() if store is not None else None
        if store is not None and generation is not None and generation > _EMPTY:
            return noted(generation, store.proof_of)
    return {}


def check_not_older(store: Store, counts: Iterable[Mapping[str, object]]) -> None:
    """Refuse to change a store that was changed more often than it says.

    Args:
        store: The store.
        counts: The counts of the closing records that were read before the store was looked at.

    Raises:
        ConfigError: It is older than the log.
    """
    problem = older(store, counts)
    if problem is not None and not _is_new(store):
        raise ConfigError(problem, todo=OLDER_TODO)


def check_not_anew(store: Store, counts: Iterable[Mapping[str, object]]) -> None:
    """Refuse to create the first key of a store whose log knows one with keys.

    Raises:
        ConfigError: The store is empty: its file was lost, or this is another folder.
    """
    problem = older(store, counts)
    if problem is not None:
        raise ConfigError(problem, todo=OLDER_TODO)


def older(store: Store, counts: Iterable[Mapping[str, object]]) -> str | None:
    """Return in words how the store is older than these closing records say, or ``None``."""
    claims = filter(_says_more, counts)
    first = next(claims, None)
    now = store.generation() if first is not None else None
    if first is None or now is None:
        return None
    if _is_new(store):
        return f"{store.title} is new, and the audit log knows one that was changed before"
    seen = newest(chain([first], claims), store.proof_of, now)
    if seen == now:
        return None
    return f"{store.title} is older than the audit log: it has change {now}, the log saw {seen}"


def _is_new(store: Store) -> bool:
    return (store.generation() or 0) <= _EMPTY
