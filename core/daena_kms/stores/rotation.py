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

    ``key`` is a fresh look at the key; its current version is the base. Raises
    :class:`RotationConflict` when another rotation was faster: then nothing of this one is left
    that any reader could see. Any other error leaves at most a pending version, which is never
    promoted and which the next rotation replaces.
    """
    newest = max((version.created for version in key.versions), default=clock())

    def now() -> datetime:
        # Clocks differ a little; a version is never dated before those that it follows.
        return max(newest, clock())

    staged = store.stage(key, material, now())
    try:
        return store.promote(key, staged, now())
    except RotationConflict:
        # What can't be taken back now stays pending: nobody promotes it, and the next rotation
        # clears it away. The loss of the race is what the caller must hear of.
        with contextlib.suppress(DaenaKMSError):
            store.abandon(key, staged)
        raise
