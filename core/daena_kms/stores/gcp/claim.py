"""A rotation on Google Cloud: a claim in the secret itself, fenced by the secret's etag.

The claim is written into the annotations by the etag of the look that was planned on. Then a
version is added. Then the aliases are moved and the claim is cleared by the etag of the claim. A
rotation that comes second fails a precondition. After a crash the claim expires, and the next
rotation takes it over by etag: the promotion of the old owner then fails.
"""

import contextlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import PROMOTION_BOUND
from daena_kms.rules.policy import HOLD, MANAGED
from daena_kms.sdk.gcp.errors import Moved, Unanswered
from daena_kms.stores.gcp.secret import Secrets
from daena_kms.stores.gcp.state import (
    CLAIM,
    CURRENT,
    DELETED,
    PREVIOUS,
    VERSIONS,
    Claim,
    Record,
    highest,
    number,
    read_claim,
    read_records,
    write_claim,
    write_records,
)

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretVersion

#: How long a claim lasts; after that another rotation may take over. Longer than a function may
#: run.
CLAIM_LIFETIME = PROMOTION_BOUND
#: No promotion begins after that.
_PROMOTE_BY = timedelta(minutes=9)
#: How many versions of an interrupted rotation, and of others, are looked up one by one.
_PROBES = 20
_TRIES = 20
_SKEW = timedelta(minutes=5)


@dataclass
class OwnClaim:
    """A claim of ours on one key, and what was added under it."""

    key_id: str
    claim: Claim
    #: The secret as the claim's own update left it: its etag is the fence.
    secret: "Secret"
    records: dict[str, Record]
    #: The version that was added under the claim, and its etag, without quotes, if it was seen.
    version: str = ""
    etag: str = ""


class Claims:
    """Claims, additions and promotions in one project."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def take(self, secret: "Secret", key_id: str, now: datetime) -> OwnClaim:
        """Claim a key as a look at it showed it.

        Raises:
            ConfigError: An annotation of ours is malformed.
            RotationConflict: Another rotation has the key, or the key was changed.
        """
        annotations = dict(secret.annotations)
        records, before = read_records(annotations), read_claim(annotations)
        if before is not None:
            self.check_over(before, key_id, now)
            aliased = set(map(str, secret.version_aliases.values()))
            records |= self.find_orphans(before, key_id, {*records, *aliased}, now)
        claim = new_claim(highest(secret, records), now)
        annotations[CLAIM] = write_claim(claim)
        if records:
            annotations[VERSIONS] = write_records(records)
        try:
            after = self._secrets.update(secret, key_id, {"annotations": annotations})
        except Moved:
            raise _conflict(key_id) from None
        except Unanswered as error:
            after = self._secrets.get(key_id)
            if not has_claim(after, claim):
                raise error from None
            moved = after.version_aliases.get(CURRENT) != secret.version_aliases.get(CURRENT)
            if moved or _stops(after) != _stops(secret):
                raise _conflict(key_id) from None
        return OwnClaim(key_id, claim, after, records)

    def add(self, own: OwnClaim, material: str) -> str:
        """Add a version under the claim and return its number.

        An addition whose answer was lost is found again by its value.
        """
        data = material.encode()
        try:
            added = self._secrets.add_version(own.key_id, data)
        except Unanswered as error:
            found = self._find_added(own, data)
            if found is None:
                raise error from None
            added = found
        except DaenaKMSError:
            self._give_back(own)
            raise
        own.version = number(added.name)
        # It answers for a version that is enabled; of another one nothing may be assumed.
        own.etag = added.etag.strip('"') if added.state.name == "ENABLED" else ""
        return own.version

    def promote(self, own: OwnClaim, base: str | None, now: datetime) -> str:
        """Move the aliases to the added version and return its number.

        ``base`` is the version that is to be current until then; ``None`` for a new key.
        """
        if now - own.claim.at > _PROMOTE_BY:
            msg = "writing the new version took too long, so it was abandoned"
            raise StoreUnavailable(msg, key_id=own.key_id, todo="The next run tries again")
        secret, previous = own.secret, base
        for _ in range(_TRIES):
            try:
                changes = self._promotion(own, secret, base, now, previous)
                self._secrets.update(secret, own.key_id, changes)
            except ConfigError:
                if previous is None:
                    self._withdraw(own)
                    raise
                previous = None  # the secret has 50 aliases: move current alone
            except (Moved, Unanswered) as error:
                secret = self._look_after(error, own.key_id)
                aliased = str(secret.version_aliases.get(CURRENT, ""))
                if aliased == own.version:
                    return own.version  # the call whose answer was lost took effect
                still_ours = (
                    has_claim(secret, own.claim)
                    and aliased in {"", base or ""}
                    and _stops(secret) == _stops(own.secret)
                )
                if not still_ours or isinstance(error, Unanswered):
                    raise (_conflict(own.key_id) if isinstance(error, Moved) else error) from None
                # Somebody has changed an annotation or a label; that change stays.
            else:
                return own.version
        self._withdraw(replace(own, secret=secret))
        msg = "Secret Manager refuses to move its aliases, although no other rotation was faster"
        todo = "Check the organization's policies, and whether a tool keeps writing the secret"
        raise ConfigError(msg, key_id=own.key_id, todo=todo)

    def _look_after(self, error: Moved | Unanswered, key_id: str) -> "Secret":
        """Return the secret after a write. Raises ``error`` where it leaves open what was done."""
        try:
            return self._secrets.get(key_id)
        except DaenaKMSError:
            if isinstance(error, Unanswered):
                raise error from None
            raise

    def disable_added(self, own: OwnClaim) -> None:
        """Disable the added version, so that nobody begins to use it."""
        self._secrets.disable(own.key_id, own.version, f'"{own.etag}"' if own.etag else "")

    def check_over(self, claim: Claim, key_id: str, now: datetime) -> None:
        """Check that another rotation's claim has expired.

        Raises:
            ConfigError: It lasts longer than any claim may.
            RotationConflict: It has not expired.
        """
        if claim.until > now + CLAIM_LIFETIME + _SKEW:
            msg = (
                f"its claim lasts until {format_time(claim.until)}, longer than any claim may last"
            )
            todo = f"Check the clocks of the machines that rotate it; remove the annotation {CLAIM}"
            raise ConfigError(msg, key_id=key_id, todo=todo)
        if now < claim.until:
            msg = f"another rotation has claimed it, until {format_time(claim.until)} at the latest"
            todo = "Wait: the claim expires by itself, and the next run after that takes over"
            raise RotationConflict(msg, key_id=key_id, todo=todo, undecided=True)

    def find_orphans(
        self, dead: Claim, key_id: str, known: set[str], now: datetime
    ) -> dict[str, Record]:
        """Return records of an interrupted rotation's versions, except those in ``known``.

        A reader of ``latest`` may have used one. It is never promoted, stays readable for the
        grace period, and is then retired.
        """
        earliest, latest = (dead.since or dead.at) - _SKEW, dead.until + _SKEW
        return {
            number(version.name): Record(
                at=version.create_time.astimezone(UTC), until=now, orphan=True
            )
            for version in self._versions_above(dead, key_id)
            if number(version.name) not in known and earliest <= version.create_time <= latest
        }

    def _promotion(
        self,
        own: OwnClaim,
        secret: "Secret",
        base: str | None,
        now: datetime,
        previous: str | None,
    ) -> dict[str, object]:
        """Return the fields of the secret that change when the added version becomes current."""
        records = dict(own.records)
        for version, record in records.items():
            # The base may have been current before: somebody may have moved the alias back to it.
            if record.until is None or version == base:
                records[version] = replace(record, until=now, retired=None, orphan=False)
        records[own.version] = Record(at=now, base=base, etag=own.etag)
        annotations = {**dict(secret.annotations), VERSIONS: write_records(records)}
        annotations.pop(CLAIM, None)
        aliases = {**dict(secret.version_aliases), CURRENT: int(own.version)}
        if previous is not None:
            aliases[PREVIOUS] = int(previous)
        return {"annotations": annotations, "version_aliases": aliases}

    def _find_added(self, own: OwnClaim, data: bytes) -> "SecretVersion | None":
        """Return the version that an addition made although its answer was lost.

        No other rotation adds under our claim, but a person may have added a value at the same
        moment: ours is the version that holds our value. Without the permission to read values
        the next run finds it.
        """
        for version in self._versions_above(own.claim, own.key_id):
            with contextlib.suppress(DaenaKMSError):
                if bytes(self._secrets.access(own.key_id, number(version.name)).data) == data:
                    return version
        return None

    def _versions_above(self, claim: Claim, key_id: str) -> "list[SecretVersion]":
        """Return the versions above the claim's highest.

        They are looked up by number, because listings lag.
        """
        above = []
        for next_one in range(claim.highest + 1, claim.highest + 1 + _PROBES):
            try:
                above.append(self._secrets.get_version(key_id, str(next_one)))
            except KeyNotFound:
                break
        return above

    def _withdraw(self, own: OwnClaim) -> None:
        """Disable the added version, which can't become current, and give the claim back."""
        with contextlib.suppress(DaenaKMSError):
            self.disable_added(own)
        self._give_back(own)

    def _give_back(self, own: OwnClaim) -> None:
        """Clear the claim after a certain failure; if that fails, it expires."""
        kept = dict(own.secret.annotations)
        kept.pop(CLAIM, None)
        if VERSIONS in kept:
            kept[VERSIONS] = write_records(own.records)  # with the orphans that were found
        else:  # a new key: only a claim tells that its creation may be resumed
            kept[CLAIM] = write_claim(replace(own.claim, until=own.claim.at))
        with contextlib.suppress(DaenaKMSError):
            self._secrets.update(own.secret, own.key_id, {"annotations": kept})


def new_claim(highest: int, now: datetime) -> Claim:
    """Return a claim of ours; ``highest`` is the highest version number so far, 0 for none."""
    return Claim(secrets.token_hex(8), highest, now, now + CLAIM_LIFETIME)


def has_claim(secret: "Secret", claim: Claim) -> bool:
    """Return whether this claim, and no other, is on the secret."""
    try:
        shown = read_claim(dict(secret.annotations))
    except ConfigError:
        return False
    return shown is not None and shown.id == claim.id


def _conflict(key_id: str) -> RotationConflict:
    msg = "another rotation was faster, or has claimed it"
    todo = "Read it again; nothing was lost"
    return RotationConflict(msg, key_id=key_id, todo=todo, undecided=True)


def _stops(secret: "Secret") -> dict[str, str]:
    """Return the annotations that may forbid a rotation, so that one set since is respected."""
    annotations = dict(secret.annotations)
    return {name: annotations[name] for name in (MANAGED, HOLD, DELETED) if name in annotations}
