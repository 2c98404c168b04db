"""One rotation of one key, the same for the engine and for an adapter's own methods."""

import contextlib
from collections.abc import Callable
from datetime import datetime

from daena_kms.errors import DaenaKMSError, RotationConflict
from daena_kms.rules.model import Key
from daena_kms.stores.base import Store

#: Returns the time of the run.
Clock = Callable[[], datetime]


def rotate(store: Store, key: Key, material: str, clock: Clock) -> str:
    """Make ``material`` the key's new current version and return that version's id.

    Args:
        store: The store.
        key: A fresh look at the key; its current version is the base.
        material: The new value.
        clock: Returns the time of the run.

    Raises:
        RotationConflict: Another rotation was faster. Nothing of this one is left that a reader
            could see.
        DaenaKMSError: At most a pending version is left. It is never promoted, and the next
            rotation replaces it.
    """
    newest = max((version.created for version in key.versions), default=clock())

    def now() -> datetime:
        # Clocks differ a little; no version is dated before the versions that it follows.
        return max(newest, clock())

    staged = store.stage(key, material, now())
    try:
        return store.promote(key, staged, now())
    except RotationConflict:
        # If that fails, a pending version stays; nobody promotes it, and the next rotation removes
        # it. The caller must hear of the lost race.
        with contextlib.suppress(DaenaKMSError):
            store.abandon(key, staged)
        raise
