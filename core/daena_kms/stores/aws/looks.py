"""What a look at a secret says where an answer or a refusal alone proves nothing.

The SDK repeats a call whose answer was lost, and then gets the refusal of a change that is made
already. The code of that refusal also stands for changes that AWS never makes.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.model import Key
from daena_kms.sdk.aws.answers import no_answer
from daena_kms.sdk.aws.errors import AT_LIMIT, RefusedError
from daena_kms.stores.aws.labels import MAX_LABELS
from daena_kms.stores.aws.state import labels_of, replicas_in

#: So many labels a put may add.
_PUT = 2


def unless_made(change: Callable[[], object], is_made: Callable[[], bool]) -> None:
    """Make a change, which may be made already.

    Args:
        change: Makes it.
        is_made: Looks whether it is made; called only after a refusal.

    Raises:
        RefusedError: It was refused, and is not made.
        StoreUnavailable: It was refused, and so was the look, or that showed no such key: nobody
            knows whether it is made.
    """
    try:
        change()
    except RefusedError as error:
        refused = error
    else:
        return
    try:
        made = is_made()
    except (AccessDenied, KeyNotFound) as blind:
        msg = f"{refused.what}, and whether the change is made already can't be seen: {blind.what}"
    else:
        if not made:
            raise refused
        return
    raise StoreUnavailable(msg, key_id=refused.key_id, todo="Look at it with show")


def check_tagged(look: Callable[[], Key], key_id: str, wanted: Mapping[str, str | None]) -> None:
    """Raise unless a look shows these tags; ``None`` stands for one that it must not show.

    Raises:
        StoreUnavailable: It does not, so what answered the change was not AWS, or AWS is behind.
    """
    with contextlib.suppress(AccessDenied, KeyNotFound):
        tags = look().tags
        if all(tags.get(name) == value for name, value in wanted.items()):
            return
    raise no_answer("tag_resource", key_id)


def check_replicas(answer: Mapping[str, Any], key_id: str) -> None:
    """Raise the error for a secret that can't be deleted because it has replicas.

    Args:
        answer: An answer of ``DescribeSecret``.
        key_id: The key.
    """
    regions = replicas_in(answer)
    if not regions:
        return
    msg = f"AWS deletes no secret with replicas, and it has some in {', '.join(regions)}"
    todo = (
        "Run: aws secretsmanager remove-regions-from-replication "
        f"--secret-id {key_id} --remove-replica-regions {' '.join(regions)}"
    )
    raise ConfigError(msg, key_id=key_id, todo=todo)


def is_deleted(look: Callable[[], Key]) -> bool:
    """Whether a look shows a key as deleted; a look that fails shows nothing."""
    try:
        return look().deleted is not None
    except DaenaKMSError:
        return False


def settle(look: Callable[[], Key], base: str, mine: str | None, error: DaenaKMSError) -> None:
    """Resolve a call that was refused, or whose answer was lost, by what is current.

    Returns when ``mine`` is current, or was: others may have rotated on since, and the SDK's own
    repetition of the call is refused then.

    Args:
        look: Looks at the key.
        base: The version that the rotation began from.
        mine: The version that it made, if it was to become current by the call.
        error: What the call raised.

    Raises:
        RotationConflict: Neither ``mine`` nor the base is current, and ``mine`` never was; or
            there is no label left for it, although there were some when the rotation began.
        StoreUnavailable: The look failed too, so it is not known whether ``mine`` became current.
        DaenaKMSError: ``error``: the base still is current.
    """
    try:
        key = look()
    except DaenaKMSError:
        if mine is None or isinstance(error, StoreUnavailable):
            raise error from None
        msg = f"whether version {mine} became current is not known: {error.what}"
        raise StoreUnavailable(msg, key_id=error.key_id, todo="Look at it with show") from None
    version = key.version(mine) if mine is not None else None
    if version is not None and version.was_current:
        return
    if key.current is None or key.current.id != base:
        msg = "another rotation was faster"
        raise RotationConflict(msg, key_id=key.id, todo="Read it again; nothing was lost")
    taken = mine is None and labels_of(key).used > MAX_LABELS - _PUT
    if taken and error.what == AT_LIMIT:
        msg = "other rotations of it are under way, and have taken the last of its labels"
        raise RotationConflict(msg, key_id=key.id, todo="Read it again", undecided=True)
    raise error
