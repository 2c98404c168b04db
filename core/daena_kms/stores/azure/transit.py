"""Delete a secret and bring it back, and see it arrive.

For some time after the vault has taken a deletion or a recovery, it shows the secret neither as a
live one nor as a deleted one. So what these calls answer is not enough: a change is done once the
secret is seen where it belongs. The waits are a little longer than what was recorded: two minutes
after a deletion, one after a recovery (azure-sdk-for-go, TestBeginRecoverDeletedSecret.json).
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from daena_kms.errors import DaenaKMSError, KeyNotFound, RotationConflict
from daena_kms.rules.model import Key
from daena_kms.sdk.azure import answers
from daena_kms.sdk.azure.client import ONCE, Vault
from daena_kms.sdk.azure.errors import InTransit, Unanswered
from daena_kms.stores.azure.look import Looker

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

#: Seconds.
DELETED_WITHIN, LIVE_WITHIN = 150.0, 90.0


class Transit:
    """Moves the secrets of one vault between live and deleted."""

    def __init__(self, vault: Vault, looker: Looker) -> None:
        self._vault = vault
        self._looker = looker

    def delete(self, key: Key) -> None:
        """Delete a live secret, and see it among the deleted ones.

        Raises:
            DaenaKMSError: The vault refused it.
            StoreUnavailable: It was not seen, whether the vault took the deletion or not.
        """
        self._move(
            key.id,
            lambda c: answers.deleted(c.begin_delete_secret(key.id, **ONCE).result(), key.id),
            lambda: self._looker.check_same(key),
            there=lambda: self._looker.is_deleted(key.id),
            still=lambda: self._looker.is_live(key.id),
            within=DELETED_WITHIN,
            words=("the deletion", "a deleted"),
        )

    def restore(self, key: Key) -> None:
        """Recover a deleted secret, and see it among the live ones; errors as of :meth:`delete`."""
        self._move(
            key.id,
            lambda c: answers.recovered(
                c.begin_recover_deleted_secret(key.id, **ONCE).result(), key.id
            ),
            bool,
            there=lambda: self._looker.is_live(key.id),
            still=lambda: self._looker.is_deleted(key.id),
            within=LIVE_WITHIN,
            words=("the recovery", "a restored"),
        )

    def _move(
        self,
        key_id: str,
        call: "Callable[[SecretClient], Any]",
        check: Callable[[], object],
        *,
        there: Callable[[], bool],
        still: Callable[[], bool],
        within: float,
        words: tuple[str, str],
    ) -> None:
        """Make the call, and look until the secret is ``there``.

        A call that failed may have taken effect all the same, or somebody else's has. So its error
        is raised only once the secret is seen where it was, or not at all.
        """
        what, kind = words
        failure: DaenaKMSError | None = None
        try:
            self._vault.change(key_id, call, check)
        except (KeyNotFound, RotationConflict, Unanswered) as error:
            failure = error
        arrived = stayed = False

        def decided() -> bool:
            nonlocal arrived, stayed
            arrived = _holds(there)
            stayed = not arrived and failure is not None and _holds(still)
            return arrived or stayed

        self._vault.settles(decided, within)
        if arrived:
            return
        if isinstance(failure, Unanswered) or (stayed and isinstance(failure, RotationConflict)):
            raise failure
        if stayed:
            msg = f"the vault did not find it for {what}, and shows it unchanged"
        else:
            taken = f"has taken {what}, but" if failure is None else "is changing it, and"
            msg = f"the vault {taken} for {within:.0f} s does not show it as {kind} key"
        todo = "Look at it with show in some minutes; the next run looks at it as well"
        raise InTransit(msg, key_id=key_id, todo=todo)


def _holds(look: Callable[[], bool]) -> bool:
    """Return what a look says. One that fails says nothing, and the next one may not fail."""
    with contextlib.suppress(DaenaKMSError):
        return look()
    return False
