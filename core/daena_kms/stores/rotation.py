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
    """Make ``material`` the key's new current version.

    Args:
        store: The store that has the key.
        key: A fresh look at the key; its current version is the base.
        material: The new value.
        clock: The time of the run.

    Returns:
        The id of the new version.

    Raises:
        RotationConflict: Another rotation was faster; no reader can see anything of this one.
        DaenaKMSError: Any other failure. It leaves at most a pending version, which is never
            promoted and which the next rotation replaces.
    """
    newest = max((version.created for version in key.versions), default=clock())

    def now() -> datetime:
        # Clocks differ a little, and a version must not be dated before those that it follows.
        return max(newest, clock())

    staged = store.stage(key, material, now())
    try:
        return store.promote(key, staged, now())
    except RotationConflict:
        # If this fails, the version stays pending. It is never promoted, and the next rotation
        # replaces it. The caller must get the conflict, not this error.
        with contextlib.suppress(DaenaKMSError):
            store.abandon(key, staged)
        raise
