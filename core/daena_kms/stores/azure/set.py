"""Write a secret's next version: its tags, the claim that it needs, and the set itself.

Key Vault's set has no precondition. It creates a version and makes it current in one step, and two
sets make two versions. So a version is set only under a claim, and a set is repeated only after
the vault has said that it did nothing.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.names import new_version_id
from daena_kms.sdk.azure import answers
from daena_kms.sdk.azure.client import LONGEST, ONCE, WAIT, Vault
from daena_kms.sdk.azure.errors import Throttled, Unanswered
from daena_kms.sdk.pace import Pacer
from daena_kms.stores.azure.claims import Claim, Claims
from daena_kms.stores.azure.look import (
    COMPROMISED,
    OPEN,
    RETIRED,
    REVOKE,
    Looker,
    look_of,
    none_readable,
)
from daena_kms.stores.azure.order import NAME

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

#: The tags that belong to one version; a rotation copies all others from the current version.
OWN = (NAME, OPEN, RETIRED, COMPROMISED)
#: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#secret-tags
MAX_TAGS = 15
#: https://learn.microsoft.com/azure/key-vault/general/service-limits: 300 new secrets in 10 s.
_SETS_PER_SECOND = 28
#: What a first version's claim has in place of a base.
_NO_BASE = "none"

#: Returns when a version made at a time, under these tags, is to expire; ``None``: never.
Expiry = Callable[[Mapping[str, str], datetime], datetime | None]


def next_tags(key: Key, name: str, now: datetime) -> dict[str, str]:
    """Return the tags of the version that comes after the current one.

    Raises:
        ConfigError: They are more than Key Vault allows.
    """
    since = key.older_since or oldest_readable(key) or now
    kept = {tag: text for tag, text in look_of(key).tags.items() if tag not in OWN}
    revoke = key.unrevoked or to_revoke(key)
    note = open_note(key.current, min(since, now), revoke=revoke)
    return checked({**kept, NAME: name, OPEN: note}, key.id)


def to_revoke(key: Key, *, without: str | None = None) -> bool:
    """Return whether a version but the one whose id is ``without`` is marked and not revoked."""
    return any(v.to_revoke and v.id != without for v in key.versions)


def oldest_readable(key: Key, *, without: str | None = None) -> datetime | None:
    """Return when the oldest version that is still readable was superseded.

    The current version does not count, and neither does the one whose id is ``without``.
    """
    times = [
        v.superseded
        for v in key.versions
        if v.state is VersionState.PREVIOUS and v.superseded is not None and v.id != without
    ]
    return min(times, default=None)


def open_note(current: Version | None, since: datetime | None, *, revoke: bool = False) -> str:
    """Return the tag ``daena-open``: since when an older version is readable, or that none is.

    With ``revoke`` it also says that one of them is to be revoked.
    """
    if since is None:
        return none_readable(current)
    return f"{REVOKE if revoke else ''}{format_time(since)}"


def checked(tags: dict[str, str], key_id: str) -> dict[str, str]:
    """Return ``tags``. Raises :class:`ConfigError` when they are more than Key Vault allows."""
    if len(tags) > MAX_TAGS:
        msg = f"it would have {len(tags)} tags, but Key Vault allows {MAX_TAGS}"
        raise ConfigError(msg, key_id=key_id, todo="Remove tags that nobody needs")
    return tags


@dataclass
class NextVersion:
    """A version that is to be set: what it will carry, and the claim to set it."""

    key_id: str
    #: The look that the rotation starts from; ``None`` for a key's first version.
    start: Key | None
    #: The version's name of ours, which identifies it after a lost answer.
    name: str
    tags: dict[str, str]
    content_type: str | None = None
    expires: datetime | None = None
    #: ``None`` before it is taken and after it was given back.
    claim: Claim | None = None
    #: Whether a set went out whose result nobody knows.
    in_doubt: bool = False


class Setter:
    """Sets versions in one vault; the claims' container is opened on first use."""

    def __init__(
        self,
        vault: Vault,
        claims: Callable[[], Claims],
        *,
        expiry: Expiry | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._vault = vault
        self._looker = Looker(vault)
        self._claims = claims
        self._expiry = expiry
        self._monotonic = monotonic or vault.time
        self._sleep = sleep or vault.wait
        self._pacer = Pacer(_SETS_PER_SECOND, self._monotonic, self._sleep)

    def probe(self) -> None:
        """Raise :class:`~daena_kms.errors.StoreUnavailable` if claims can't be listed."""
        self._claims().probe()

    def claim_first(self, key_id: str, tags: Mapping[str, str], now: datetime) -> NextVersion:
        """Return a new key's first version, claimed.

        Raises:
            ConfigError: It would carry too many tags.
            KeyExists: There is a secret of that name, or another process is creating it.
        """
        name = new_version_id(None, now)
        new = NextVersion(key_id, None, name, checked({**tags, NAME: name}, key_id))
        new.expires = self._expiry(tags, now) if self._expiry is not None else None
        try:
            self.take(new, _NO_BASE, now)
        except RotationConflict:
            self._looker.check_absent(key_id)
            msg = "another process is creating it, or was a moment ago"
            todo = "Use it, or another id; if it does not appear, try again in 15 minutes"
            raise KeyExists(msg, key_id=key_id, todo=todo) from None
        self._check_unchanged(new)
        return new

    def claim_next(self, key: Key, now: datetime) -> NextVersion:
        """Return the version that comes after the current one, claimed.

        ``key`` is a look at the key, not a listing.

        Raises:
            ConfigError: It would carry too many tags.
            KeyNotFound: The key has no current version.
            RotationConflict: Another rotation has the claim, or has completed.
        """
        look = look_of(key)
        if key.current is None or look.version is None:
            msg = "it has no current version"
            raise KeyNotFound(msg, key_id=key.id, todo="Give it a value first")
        name = new_version_id(look.version, now)
        new = NextVersion(key.id, key, name, next_tags(key, name, now), look.content_type)
        if self._expiry is not None:
            new.expires = self._expiry(key.tags, now)
        elif look.lifetime is not None:  # the owner dates versions: the next one lives as long
            new.expires = now + look.lifetime
        if self.take(new, look.version, now):
            # The owner of an earlier claim, which expired, may have set the version after all.
            with self._giving_back(new):
                self._looker.check_unmoved(key.id, look.version)
        return new

    def take(self, new: NextVersion, base_id: str, now: datetime) -> bool:
        """Take the claim, and return whether there was an earlier one on the same base.

        Raises :class:`~daena_kms.errors.RotationConflict` while another rotation has the claim.
        """
        new.claim = self._claims().take(new.key_id, base_id, now)
        return new.claim.taken_over

    def set(self, new: NextVersion, material: str, left: timedelta) -> str:
        """Set the version within the time ``left``, and return its id.

        A set that the vault refused for its rate, or because the secret is being changed, deleted,
        recovered or purged, did nothing. It is repeated for half a minute, each time after a look
        at the key. A lost answer is resolved by a look as well. Where that shows no version of ours
        the set may still take effect, so the error is that of the set, and the claim is kept until
        it expires.
        """
        until = self._monotonic() + min(left.total_seconds(), LONGEST)
        wait = 0.0
        msg = "there was not enough time left to write the new version, so nothing was written"
        failure: DaenaKMSError
        failure = StoreUnavailable(msg, key_id=new.key_id, todo="The next run tries again")
        while True:
            self._pacer.wait()
            if self._monotonic() + wait >= until:
                self.give_back(new)
                raise failure
            if wait:
                self._sleep(wait)
                self._check_unchanged(new)
                if self._monotonic() >= until:  # the look was slow
                    self.give_back(new)
                    raise failure
            try:
                return self._set_once(new, material)
            except Throttled as error:
                self._pacer.start()
                failure = error
                wait = error.after or max(WAIT, 2 * wait)  # a wait of 0 would not help
            except RotationConflict as error:
                failure = error
                wait = max(WAIT, 2 * wait)
            except Unanswered as error:
                new.in_doubt = True
                return self._settle(new, error)
            except DaenaKMSError:
                self.give_back(new)
                raise

    def give_back(self, new: NextVersion) -> None:
        """Give the claim back, unless a set may still be under way: then it expires by itself."""
        if new.claim is not None and not new.in_doubt:
            claim, new.claim = new.claim, None
            # If that fails, the claim expires; the caller must get the error from before.
            with contextlib.suppress(DaenaKMSError):
                self._claims().give_back(claim)

    @contextlib.contextmanager
    def _giving_back(self, new: NextVersion) -> Iterator[None]:
        """Give the claim back if a look fails while no set is under way."""
        try:
            yield
        except DaenaKMSError:
            self.give_back(new)
            raise

    def _check_unchanged(self, new: NextVersion) -> None:
        """Raise, and give the claim back, if the key is not as the rotation or creation found it.

        The claim is also given back when the look itself fails.
        """
        with self._giving_back(new):
            if new.start is None:
                self._looker.check_absent(new.key_id)
            else:
                self._looker.check_same(new.start)

    def _set_once(self, new: NextVersion, material: str) -> str:
        def set_it(client: "SecretClient") -> str:
            secret = client.set_secret(
                new.key_id,
                material,
                tags=new.tags,
                content_type=new.content_type,
                expires_on=new.expires,
                **ONCE,
            )
            return str(answers.version_of(secret.properties, new.key_id, tags=new.tags).version)

        return self._vault.call(new.key_id, set_it)

    def _settle(self, new: NextVersion, error: Unanswered) -> str:
        """Return the version that a set made although its answer was lost. Raises ``error``."""
        version_id = None
        with contextlib.suppress(DaenaKMSError):
            version_id = self._looker.find_named(new.key_id, new.name)
        if version_id is None:
            raise error
        return version_id
