"""A rotation on Google Cloud: the secret is its own lease, fenced by its etag.

A claim is written into the annotations by the etag of the look that was planned on; a version is
added; the aliases are moved, and the claim cleared, by the etag of the claim. Who comes second
fails a precondition. After a crash the claim runs out, and the next rotation takes it over by etag:
the old owner's promotion then fails.
"""

import contextlib
import secrets
from collections.abc import Mapping
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
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved, Unanswered
from daena_kms.stores.gcp.payload import payload
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
    from google.cloud.secretmanager_v1 import Secret

#: From a claim to the moment when another rotation may take over: longer than a function may run.
HELD = PROMOTION_BOUND
#: A promotion that has not begun by then is given up.
_PROMOTE_BY = timedelta(minutes=9)
#: How many versions of a crashed rotation, and of others, are looked for one by one.
_PROBES = 20
_TRIES = 20
_SKEW = timedelta(minutes=5)


@dataclass
class Leased:
    """A claim that we hold."""

    claim: Claim
    #: The secret as the claim's own update left it: its etag is the fence.
    secret: "Secret"
    records: dict[str, Record]
    version: str = ""


class Lease:
    """Claims, additions and promotions in one project."""

    def __init__(self, manager: SecretManager) -> None:
        self._manager = manager

    def take(self, secret: "Secret", key_id: str, now: datetime) -> Leased:
        """Claim a key as a look at it showed it. Raises :class:`RotationConflict`."""
        annotations = dict(secret.annotations)
        records, before = read_records(annotations), read_claim(annotations)
        if before is not None:
            self.check_over(before, key_id, now)
            self.note_orphans(Leased(before, secret, records), before, key_id, now)
        claim = Claim(secrets.token_hex(8), highest(secret, records), now, now + HELD)
        given = {**annotations, CLAIM: write_claim(claim)}
        if records:
            given[VERSIONS] = write_records(records)
        try:
            after = self.update(secret, key_id, {"annotations": given})
        except Moved:
            raise _conflict(key_id) from None
        except Unanswered as error:
            after = self.look(key_id)
            if claim_id(after) != claim.id:
                raise error from None
            moved = after.version_aliases.get(CURRENT) != secret.version_aliases.get(CURRENT)
            if moved or _asked(after) != _asked(secret):
                raise _conflict(key_id) from None
        return Leased(claim, after, records)

    def add(self, leased: Leased, key_id: str, material: str) -> str:
        """Add a version under the claim and return its number; an orphan of ours is found again."""
        data = material.encode()
        parent, sent = self._manager.secret(key_id), payload(data)
        try:
            made = self._manager.write("add_secret_version", key_id, parent=parent, payload=sent)
        except Unanswered as error:
            found = self._added(leased, key_id, data)
            if found is None:
                raise error from None
            leased.version = found
        except DaenaKMSError:
            self._clear(leased, key_id)
            raise
        else:
            leased.version = number(made.name)
        return leased.version

    def promote(self, leased: Leased, key_id: str, base: str | None, now: datetime) -> str:
        """Move the aliases to the added version and return its number."""
        if now - leased.claim.at > _PROMOTE_BY:
            msg = "writing the new version took too long, and it was given up"
            raise StoreUnavailable(msg, key_id=key_id, todo="The next run tries again")
        secret, previous = leased.secret, base
        for _ in range(_TRIES):
            try:
                self.update(secret, key_id, self._promoted(leased, secret, base, now, previous))
            except ConfigError:
                if previous is None:
                    self._take_back(leased, key_id)
                    raise
                previous = None  # 50 aliases, or a base that was destroyed: then current alone
            except (Moved, Unanswered) as error:
                secret = self.look(key_id)
                standing = str(secret.version_aliases.get(CURRENT, ""))
                if standing == leased.version:
                    return leased.version  # the lost answer was a yes
                ours = (
                    claim_id(secret) == leased.claim.id
                    and standing in {"", base or ""}
                    and _asked(secret) == _asked(leased.secret)
                )
                if not ours or isinstance(error, Unanswered):
                    raise (_conflict(key_id) if isinstance(error, Moved) else error) from None
                # Still ours: somebody changed an annotation or a label. Theirs stays.
            else:
                return leased.version
        self._take_back(replace(leased, secret=secret), key_id)
        msg = "Secret Manager refuses to move its aliases, and nobody else rotated it"
        todo = "Check the organization's policies, and that no tool writes the secret all the time"
        raise ConfigError(msg, key_id=key_id, todo=todo)

    def _take_back(self, leased: Leased, key_id: str) -> None:
        """Disable what can't become current, and give the claim back."""
        name = self._manager.version(key_id, leased.version)
        with contextlib.suppress(DaenaKMSError):
            self._manager.write("disable_secret_version", key_id, name=name)
        self._clear(leased, key_id)

    def update(self, secret: "Secret", key_id: str, changes: Mapping[str, object]) -> "Secret":
        """Update these fields of a secret if its etag is still this one. Raises :class:`Moved`."""
        wanted = {"name": self._manager.secret(key_id), "etag": secret.etag, **changes}
        updated: Secret = self._manager.write(
            "update_secret", key_id, secret=wanted, update_mask={"paths": sorted(changes)}
        )
        return updated

    def _promoted(
        self,
        leased: Leased,
        secret: "Secret",
        base: str | None,
        now: datetime,
        previous: str | None,
    ) -> dict[str, object]:
        records = dict(leased.records)
        for name, record in records.items():
            # The base may have been current before: a hand may have moved the alias back to it.
            if record.until is None or name == base:
                records[name] = replace(record, until=now, retired=None, orphan=False)
        records[leased.version] = Record(at=now, base=base)
        annotations = {**dict(secret.annotations), VERSIONS: write_records(records)}
        annotations.pop(CLAIM, None)
        aliases = {**dict(secret.version_aliases), CURRENT: int(leased.version)}
        if previous is not None:
            aliases[PREVIOUS] = int(previous)
        return {"annotations": annotations, "version_aliases": aliases}

    def check_over(self, claim: Claim, key_id: str, now: datetime) -> None:
        """Raise :class:`RotationConflict` while a claim lasts, and ConfigError for an odd one."""
        if claim.until > now + HELD + _SKEW:
            msg = f"its claim lasts until {format_time(claim.until)}, longer than any may"
            todo = f"Check the clocks of whoever rotates it; remove the annotation {CLAIM}"
            raise ConfigError(msg, key_id=key_id, todo=todo)
        if now < claim.until:
            msg = f"another rotation holds it, until {format_time(claim.until)} at the latest"
            todo = "It ends by itself; after that time the next run takes over"
            raise RotationConflict(msg, key_id=key_id, todo=todo, undecided=True)

    def note_orphans(self, leased: Leased, before: Claim, key_id: str, now: datetime) -> None:
        """Note what a dead rotation added: a reader of ``latest`` may have used it.

        It is never promoted, stays readable for the grace period, and is then retired.
        """
        others = {*leased.records, *map(str, leased.secret.version_aliases.values())}
        for name, made in self._above(replace(leased, claim=before), key_id):
            if (
                name not in others
                and (before.since or before.at) - _SKEW <= made <= before.until + _SKEW
            ):
                leased.records[name] = Record(at=made, until=now, orphan=True)

    def _added(self, leased: Leased, key_id: str, data: bytes) -> str | None:
        """Return the version that an addition made although its answer was lost.

        No other rotation adds under our claim, but a person may have added a value at the same
        moment: the one that holds our value is ours. Who may not read learns it from the next run.
        """
        for name, _ in self._above(leased, key_id):
            with contextlib.suppress(DaenaKMSError):
                answer = self._manager.read(
                    "access_secret_version", key_id, name=self._manager.version(key_id, name)
                )
                if bytes(answer.payload.data) == data:
                    return name
        return None

    def _above(self, leased: Leased, key_id: str) -> list[tuple[str, datetime]]:
        """Return the versions above the claim's highest, by number: listings may lag."""
        found = []
        for name in range(leased.claim.highest + 1, leased.claim.highest + 1 + _PROBES):
            try:
                version = self._manager.read(
                    "get_secret_version", key_id, name=self._manager.version(key_id, str(name))
                )
            except KeyNotFound:
                break
            found.append((str(name), version.create_time.astimezone(UTC)))
        return found

    def _clear(self, leased: Leased, key_id: str) -> None:
        """Give the claim back after a certain failure; if that fails, it runs out."""
        kept = dict(leased.secret.annotations)
        kept.pop(CLAIM, None)
        if VERSIONS in kept:
            kept[VERSIONS] = write_records(leased.records)  # with the orphans that were found
        if VERSIONS not in kept:  # it is new, and only a claim says that its creation may go on
            kept[CLAIM] = write_claim(replace(leased.claim, until=leased.claim.at))
        try:
            self.update(leased.secret, key_id, {"annotations": kept})
        except DaenaKMSError:
            return

    def look(self, key_id: str) -> "Secret":
        """Return the secret as it is now."""
        secret: Secret = self._manager.read("get_secret", key_id, name=self._manager.secret(key_id))
        return secret


def claim_id(secret: "Secret") -> str | None:
    """Return whose claim is on the secret, if one can be read."""
    try:
        claim = read_claim(dict(secret.annotations))
    except ConfigError:
        return None
    return claim.id if claim is not None else None


def _conflict(key_id: str) -> RotationConflict:
    msg = "another rotation of it was faster, or holds it"
    todo = "Read it again; nothing was lost"
    return RotationConflict(msg, key_id=key_id, todo=todo, undecided=True)


def _asked(secret: "Secret") -> dict[str, str]:
    """Return what forbids a rotation: a hold set since, or a deletion, is not passed over."""
    annotations = dict(secret.annotations)
    return {name: annotations[name] for name in (MANAGED, HOLD, DELETED) if name in annotations}
