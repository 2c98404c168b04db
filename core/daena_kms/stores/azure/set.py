"""Set one version under one claim: once, in time, and never without knowing how it ended.

Key Vault's set has no precondition, and creates and promotes in one step; two sets make two
versions. So it is not repeated blindly: only after the vault has said that it did nothing.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daena_kms.errors import DaenaKMSError, StoreUnavailable
from daena_kms.sdk.azure.client import BOUNDS, Vault
from daena_kms.sdk.azure.errors import Throttled, Unanswered
from daena_kms.sdk.pace import Pacer
from daena_kms.stores.azure.claims import Claim, Claims

#: https://learn.microsoft.com/azure/key-vault/general/service-limits: 300 new secrets in 10 s.
_SETS_PER_SECOND = 28
#: Seconds before a throttled set is tried again, where the vault says none, and for all tries.
_WAIT, _LONGEST = 2.0, 30.0


@dataclass
class Begun:
    """A rotation that holds a claim: what the version that it will set carries."""

    #: The version's name of ours, by which it is known again.
    name: str
    tags: dict[str, str]
    content_type: str | None
    expires: datetime | None
    #: ``None`` before it is taken and after it was given back.
    claim: Claim | None = None
    #: Whether a set went out whose end nobody knows.
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Looks:
    """How to look at the key again in the middle of a set."""

    #: Returns the id of the version that was set, or ``None``.
    find: Callable[[], str | None]
    #: Raises if the key is no longer as the rotation found it.
    check: Callable[[], None]


class Setter:
    """Sets versions in one vault; ``claims`` are opened on first use."""

    def __init__(
        self,
        vault: Vault,
        claims: Callable[[], Claims],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._vault = vault
        self._claims = claims
        self._monotonic = monotonic
        self._sleep = sleep
        self._pacer = Pacer(_SETS_PER_SECOND, monotonic, sleep)

    def probe(self) -> None:
        """Raise :class:`~daena_kms.errors.StoreUnavailable` if claims can't be listed."""
        self._claims().probe()

    def claim(self, begun: Begun, key_id: str, base: str, now: datetime) -> bool:
        """Take the claim, and say whether an earlier one on the same base was there.

        Raises :class:`~daena_kms.errors.RotationConflict` while another rotation holds it.
        """
        begun.claim = self._claims().take(key_id, base, now)
        return begun.claim.taken_over

    def give_back(self, begun: Begun) -> None:
        """Give the claim back, unless a set may be under way still: then it runs out by itself."""
        if begun.claim is not None and not begun.in_doubt:
            claim, begun.claim = begun.claim, None
            # If that fails, it runs out; what came before is what the caller must hear of.
            with contextlib.suppress(DaenaKMSError):
                self._claims().give_back(claim)

    def set(
        self,
        key_id: str,
        material: str,
        begun: Begun,
        left: timedelta,
        looks: Looks,
    ) -> str:
        """Set the version within the time that is left for it, and return its id.

        A throttled set is tried again for half a minute, each time after a look. A lost answer is
        resolved by looking, too; where no version is found the set may land yet, so the error is
        that of the set, and the claim is kept until it runs out.
        """
        until = self._monotonic() + min(left.total_seconds(), _LONGEST)
        wait = 0.0
        msg = "there was not time enough to write the new version, and it was given up"
        failure = StoreUnavailable(msg, key_id=key_id, todo="The next run tries again")
        while True:
            self._pacer.wait()
            if self._monotonic() + wait >= until:
                self.give_back(begun)
                raise failure
            if wait:
                self._sleep(wait)
                self._look_again(begun, looks)
                if self._monotonic() >= until:  # the look was slow
                    self.give_back(begun)
                    raise failure
            try:
                return self._once(key_id, material, begun)
            except Throttled as error:
                self._pacer.start()
                failure = error
                wait = error.after or max(_WAIT, 2 * wait)  # at once is no answer to a full vault
            except Unanswered as error:
                begun.in_doubt = True
                return _settled(looks.find, error)
            except DaenaKMSError:
                self.give_back(begun)
                raise

    def _look_again(self, begun: Begun, looks: Looks) -> None:
        """Raise if the key has changed, or can't be looked at: nothing of ours is under way."""
        try:
            looks.check()
        except DaenaKMSError:
            self.give_back(begun)
            raise

    def _once(self, key_id: str, material: str, begun: Begun) -> str:
        made = self._vault.call(
            key_id,
            lambda client: client.set_secret(
                key_id,
                material,
                tags=begun.tags,
                content_type=begun.content_type,
                expires_on=begun.expires,
                retry_total=0,  # never repeated by the SDK
                **BOUNDS,
            ),
        )
        return str(made.properties.version)


def _settled(find: Callable[[], str | None], error: DaenaKMSError) -> str:
    try:
        made = find()
    except DaenaKMSError:
        made = None
    if made is None:
        raise error
    return made
