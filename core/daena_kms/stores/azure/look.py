"""Look at the secrets of one Key Vault, and turn what it shows into keys and versions.

:class:`Looker` makes the calls. :func:`to_key` and the functions below it translate the answers
and make no call.

A version that we set carries tags of our own beside those of the policy. ``daena-version`` is an
id of ours that says when the version was made and from which version. ``daena-open`` says since
when the oldest version that may still be readable was no longer current. A listing shows only the
newest version, without its id; these two tags tell whether the key is due and whether an older
version is still to be retired. :mod:`daena_kms.stores.azure.set` writes them.

``daena-compromised`` marks the version that carries it: ``pending-`` or ``revoked-``, and the
version's id, so that a copy on another version marks nothing. As long as an older version that is
marked may be readable, ``daena-open`` on the newest one begins with ``revoke-``: then a listing
shows that a closer look is needed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError, KeyExists, KeyNotFound, RotationConflict
from daena_kms.rules.durations import MAX_DAYS, parse_time
from daena_kms.rules.model import PROMOTION_BOUND, Key, Version, VersionState
from daena_kms.rules.names import PLAUSIBLE_YEARS, base_mark_of, mark, parse_version_id
from daena_kms.rules.policy import MANAGED, PREFIX
from daena_kms.sdk.azure.client import BOUNDS, Vault
from daena_kms.sdk.azure.errors import Disabled

if TYPE_CHECKING:
    from azure.keyvault.secrets import DeletedSecret, SecretProperties

NAME = "daena-version"
OPEN = "daena-open"
RETIRED = "daena-retired"
COMPROMISED = "daena-compromised"
PENDING_MARK, REVOKED_MARK = "pending-", "revoked-"
#: How ``daena-open`` begins while an older version is to be revoked.
REVOKE = "revoke-"
_MARK = re.compile(rf"({PENDING_MARK}|{REVOKED_MARK})[0-9a-f]{{32}}", re.ASCII)
_PAGE = 25
#: A version is set right after its id was stamped; Key Vault's dates are whole seconds.
_STAMPED = timedelta(minutes=5)
#: The longest lifetime that a new version takes over. An expiry date in the year 9999 is common,
#: and no sum may exceed what a datetime can hold.
_LONGEST = timedelta(days=MAX_DAYS)


@dataclass(frozen=True, slots=True)
class Look:
    """The newest version's attributes; a new version takes over those that belong to the owner."""

    #: The version's own id; ``None`` in a listing.
    version: str | None
    tags: Mapping[str, str]
    content_type: str | None
    lifetime: timedelta | None
    recoverable: bool
    #: All versions' tags by id, where all were listed.
    all_tags: Mapping[str, Mapping[str, str]]


def look_of(key: Key) -> Look:
    """Return the look that a key of this store was made from."""
    if not isinstance(key.handle, Look):
        msg = "the key was not described by this store"
        raise TypeError(msg)
    return key.handle


def same(one: Look, other: Look) -> bool:
    """Return whether two looks show the same newest version with the same attributes.

    The tags by which emergencies and retirements take notes don't count: a look may not show our
    own change of them yet.
    """

    def bare(look: Look) -> Look:
        tags = {n: t for n, t in look.tags.items() if n not in {COMPROMISED, OPEN}}
        return replace(look, tags=tags, all_tags={})

    return bare(one) == bare(other)


def none_readable(current: Version | None) -> str:
    """Return the text of the tag ``daena-open`` that says that no older version is readable.

    It names the age of the version that carries it, because it counts for this version alone: a
    copy of it on a new version hides nothing.
    """
    return f"none-{current.created:%Y%m%dT%H%M%SZ}" if current is not None else "none"


class Looker:
    """Reads one vault, and changes nothing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def scan(self) -> Iterator[Key]:
        """Yield the secrets that carry ``daena.managed``."""
        secrets = self._vault.pages(
            None, lambda c: c.list_properties_of_secrets(max_page_size=_PAGE, **BOUNDS)
        )
        return (to_key(newest) for newest in secrets if MANAGED in (newest.tags or {}))

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the secret, deleted or not; with ``exact`` all its versions are listed."""
        try:
            newest: SecretProperties = self._vault.call(
                key_id, lambda c: c.get_secret(key_id, **BOUNDS).properties
            )
        except Disabled as disabled:
            versions = self._list_versions(key_id)
            if not versions:  # deleted meanwhile
                return self.describe_deleted(key_id, disabled)
            return to_key(newest_of(versions), versions)
        except KeyNotFound as missing:
            return self.describe_deleted(key_id, missing)
        return to_key(newest, self._list_versions(key_id) if exact else None)

    def describe_deleted(self, key_id: str, missing: KeyNotFound) -> Key:
        """Return the deleted secret of that name. Raises ``missing`` when there is none."""
        try:
            deleted = self._vault.call(key_id, lambda c: c.get_deleted_secret(key_id, **BOUNDS))
        except (KeyNotFound, ConfigError):  # a vault without soft delete keeps nothing deleted
            raise missing from None
        return deleted_key(deleted)

    def find_named(self, key_id: str, name: str) -> str | None:
        """Return the id of the version that we set under ``name``, the newest one or not."""
        key = self.describe(key_id, exact=True)
        if key.deleted is not None:
            return None
        tags = look_of(key).all_tags
        # Versions stand in the order in which they were made: a later one may have copied tags.
        return next((v.id for v in key.versions if tags.get(v.id, {}).get(NAME) == name), None)

    def check_same(self, key: Key) -> None:
        """Raise :class:`RotationConflict` unless the newest version and its tags are unchanged."""
        again = self.describe(key.id)
        if again.deleted is not None or not same(look_of(again), look_of(key)):
            msg = "it was changed meanwhile"
            raise RotationConflict(
                msg,
                key_id=key.id,
                todo="Read it again; the next run looks at it again",
                undecided=True,
            )

    def check_absent(self, key_id: str) -> None:
        """Raise :class:`KeyExists` if there is a secret of that name, deleted or not."""
        try:
            key = self.describe(key_id)
        except KeyNotFound:
            return
        if key.deleted is None:
            raise KeyExists("it exists already", key_id=key_id, todo="Use it, or another id")
        msg = "it exists already, deleted but recoverable"
        todo = "Restore it, or purge it in the vault if nobody needs it"
        raise KeyExists(msg, key_id=key_id, todo=todo)

    def check_unmoved(self, key_id: str, base_id: str) -> None:
        """Raise :class:`RotationConflict` unless ``base_id`` is current and no version's base."""
        key = self.describe(key_id, exact=True)
        completed = any(version.base_mark == mark(base_id) for version in key.versions)
        if completed or key.current is None or key.current.id != base_id:
            msg = "an earlier rotation was completed after all"
            raise RotationConflict(msg, key_id=key_id, todo="Read it again; nothing was lost")

    def _list_versions(self, key_id: str) -> "list[SecretProperties]":
        pages = self._vault.pages(
            key_id,
            lambda c: c.list_properties_of_secret_versions(key_id, max_page_size=_PAGE, **BOUNDS),
        )
        return list(pages)


def to_key(newest: "SecretProperties", listed: "Iterable[SecretProperties] | None" = None) -> Key:
    """Return the key whose newest version has these properties.

    ``listed`` are all its versions, the newest one included, where they were listed.
    """
    tags = dict(newest.tags or {})
    ordered = None if listed is None else _in_order(listed)
    current = _current(newest)
    revoke = tags.get(OPEN, "").startswith(REVOKE)
    key = Key(
        id=str(newest.name).lower(),
        tags={name: text for name, text in tags.items() if name.startswith(PREFIX)},
        versions=(current,),
        # A listing does not show the id by which the mark proves to be this version's own.
        unrevoked=ordered is None
        and (revoke or tags.get(COMPROMISED, "").startswith(PENDING_MARK)),
        drift=_drift(tags),
        owner="the certificate of that name" if newest.managed else None,
        handle=Look(
            version=newest.version or None,
            tags=tags,
            content_type=newest.content_type,
            lifetime=_lifetime(newest),
            recoverable="Recoverable" in (newest.recovery_level or ""),
            all_tags={str(p.version): dict(p.tags or {}) for p in ordered or ()},
        ),
        older_since=_older_since(tags, current) if ordered is None else None,
    )
    if ordered is not None:
        key = replace(key, versions=tuple(_versions(current, ordered)))
    if newest.enabled is False:
        key = replace(key, trouble="its newest version is disabled")
    return key


def deleted_key(deleted: "DeletedSecret") -> Key:
    """Return a deleted key; its versions can't be seen."""
    tags = deleted.properties.tags or {}
    return Key(
        id=str(deleted.name).lower(),
        tags={name: text for name, text in tags.items() if name.startswith(PREFIX)},
        versions=(),
        deleted=deleted.deleted_date or datetime.now(UTC),
    )


def newest_of(listed: "list[SecretProperties]") -> "SecretProperties":
    """Return the newest of a secret's versions; the vault has said that it is disabled.

    Where dates tie, the newest is the disabled one.
    """
    return max(listed, key=lambda p: (_age(p), p.enabled is False))


def _current(newest: "SecretProperties") -> Version:
    name = _name(newest)
    disabled = newest.enabled is False
    version = Version(
        id=newest.version or name or _unnamed(newest),
        state=VersionState.RETIRED if disabled else VersionState.CURRENT,
        created=_age(newest),
        base_mark=base_mark_of(name),
        expires=_date(newest.expires_on),
        retired=newest.updated_on if disabled else None,
        alias=name or _unnamed(newest),
    )
    return _marked(version, newest)


def _versions(current: Version, ordered: "list[SecretProperties]") -> Iterable[Version]:
    """Yield all versions; a version was superseded when the next one was made."""
    older = [p for p in ordered if p.version != current.id]
    names: set[str] = set()
    for number, properties in enumerate(older):
        name = _name(properties)
        # Whoever sets a value with all tags of the one before copies its name as well.
        own = None if name is None or name in names else name
        names |= {name} if name is not None else set()
        after = older[number + 1] if number + 1 < len(older) else None
        superseded = max(_age(after) if after is not None else current.created, _age(properties))
        retired = properties.enabled is False
        version = Version(
            id=str(properties.version),
            state=VersionState.RETIRED if retired else VersionState.PREVIOUS,
            created=_age(properties),
            base_mark=base_mark_of(own),
            superseded=superseded,
            retired=_retired(properties) if retired else None,
            alias=own or _unnamed(properties),
        )
        yield _marked(version, properties)
    yield replace(current, base_mark=None) if current.alias in names else current


def _in_order(listed: "Iterable[SecretProperties]") -> "list[SecretProperties]":
    """Return versions in the order in which they were made; their dates are whole seconds."""
    versions = list(listed)
    by_mark = {mark(p.version): p for p in versions}

    def ancestors(version: "SecretProperties | None") -> int:
        count = 0
        while version is not None and count < len(versions):
            version = by_mark.get(base_mark_of(_name(version)) or "")
            count += 1
        return count

    return sorted(versions, key=lambda p: (_age(p), ancestors(p)))


def _older_since(tags: Mapping[str, str], current: Version) -> datetime | None:
    """Return since when older versions may be readable, as far as the newest one's tags tell."""
    if tags.get(OPEN) == none_readable(current):
        return None
    try:
        noted = parse_time(tags[OPEN].removeprefix(REVOKE), OPEN) if OPEN in tags else None
    except ConfigError:
        noted = current.created
    if noted is None and COMPROMISED in tags:  # the mark has taken that tag's place
        return current.created
    if noted is not None:
        return min(noted, current.created)
    # Before a version of ours without that tag nothing is readable; before others' nobody knows.
    return None if current.base_mark is not None else current.created


def mark_text(state: str, version: str) -> str:
    """Return the tag that marks a version as compromised."""
    return f"{state}{version}"


def _marked(version: Version, properties: "SecretProperties") -> Version:
    """Return the version with what its own mark says. A copy of another's mark says nothing."""
    text = (properties.tags or {}).get(COMPROMISED)
    if text is None or not properties.version:
        return version
    revoked = text == mark_text(REVOKED_MARK, properties.version)
    pending = text == mark_text(PENDING_MARK, properties.version)
    return replace(version, compromised=revoked or pending, revoked=revoked)


def _drift(tags: Mapping[str, str]) -> str | None:
    if COMPROMISED not in tags or _MARK.fullmatch(tags[COMPROMISED]):
        return None
    return (
        f"its tag {COMPROMISED} is not of the form of a mark, and is ignored: find out who wrote "
        "it, and remove it"
    )


def _name(properties: "SecretProperties") -> str | None:
    """Return the version's name of ours, unless it was copied from an older version."""
    name = (properties.tags or {}).get(NAME, "")
    parsed = parse_version_id(name)
    if parsed is None or _age(properties) - parsed.made > PROMOTION_BOUND + _STAMPED:
        return None
    return name


def _unnamed(properties: "SecretProperties") -> str:
    """Return what names a version of others where its id is not shown: when it was made."""
    return f"made-{_age(properties):%Y%m%dT%H%M%SZ}"


def _age(properties: "SecretProperties") -> datetime:
    """Return when a version was made: the vault's date, or the stamp in its name if it is later.

    They differ by less than a second or two, unless a clock is wrong: then the key is reported.
    """
    created = _date(properties.created_on)
    if created is None or created.year not in PLAUSIBLE_YEARS:
        created = datetime.fromtimestamp(0, UTC)
    created = created.astimezone(UTC)
    parsed = parse_version_id((properties.tags or {}).get(NAME, ""))
    return created if parsed is None else max(created, parsed.made)


def _retired(properties: "SecretProperties") -> datetime | None:
    try:
        return parse_time((properties.tags or {})[RETIRED], RETIRED)
    except (KeyError, ConfigError):
        return properties.updated_on


def _lifetime(properties: "SecretProperties") -> timedelta | None:
    """Return how long the owner lets a version live, where an expiry date says so."""
    expires, created = _date(properties.expires_on), _date(properties.created_on)
    if expires is None or created is None:
        return None
    lifetime = expires - created
    return min(lifetime, _LONGEST) if lifetime > timedelta() else None


def _date(value: object) -> datetime | None:
    """Return a date, or ``None`` for a malformed value, which the SDK passes through."""
    return value if isinstance(value, datetime) else None
