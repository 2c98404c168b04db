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
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError, KeyExists, KeyNotFound, RotationConflict
from daena_kms.rules.adoption import unfit_content
from daena_kms.rules.durations import MAX_DAYS, parse_time
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.names import base_mark_of, mark, parse_version_id
from daena_kms.rules.policy import MANAGED, PREFIX
from daena_kms.sdk.azure import answers
from daena_kms.sdk.azure.client import BOUNDS, PAGED, Vault
from daena_kms.sdk.azure.errors import Disabled
from daena_kms.stores.azure.deleted import DeletedSecrets
from daena_kms.stores.azure.order import (
    NAME,
    age,
    clear_newest,
    date_of,
    in_order,
    newest_of,
    own_name,
)

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretProperties

OPEN = "daena-open"
RETIRED = "daena-retired"
COMPROMISED = "daena-compromised"
PENDING_MARK, REVOKED_MARK = "pending-", "revoked-"
#: How ``daena-open`` begins while an older version is to be revoked.
REVOKE = "revoke-"
_MARK = re.compile(rf"({PENDING_MARK}|{REVOKED_MARK})[0-9a-f]{{32}}", re.ASCII)
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


#: What the tag ``daena-open`` says where no older version is readable, from whatever version.
_NONE = re.compile(r"none(-\d{8}T\d{6}Z)?", re.ASCII)


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
        self._deleted = DeletedSecrets(vault)

    def scan(self) -> Iterator[Key]:
        """Yield the secrets that carry ``daena.managed``."""
        secrets = self._vault.pages(
            None, lambda c: c.list_properties_of_secrets(**PAGED), answers.check_item
        )
        return (to_key(newest) for newest in secrets if MANAGED in (newest.tags or {}))

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the secret, deleted or not; with ``exact`` all its versions are listed.

        Their list alone is enough if it leaves no doubt which version is the newest: one call, and
        the value is not read.

        Raises:
            KeyNotFound: The vault shows it neither as a secret nor as a deleted one.
        """
        versions = self._list_versions(key_id) if exact else None
        if versions is not None:
            certain = clear_newest(versions)
            if certain is not None:
                return to_key(certain, versions)
            deleted = self._deleted.find(key_id) if not versions else None
            if deleted is not None:
                return deleted
        try:
            newest = self._get(key_id)
        except Disabled:
            versions = self._list_versions(key_id)
            if not versions:  # deleted meanwhile
                return self.describe_deleted(key_id)
            return to_key(newest_of(versions), versions)
        except KeyNotFound:
            return self.describe_deleted(key_id)
        if versions is not None and newest.version not in {v.version for v in versions}:
            versions.append(newest)  # it was set after they were listed
        return to_key(newest, versions)

    def is_live(self, key_id: str) -> bool:
        """Return whether the vault shows the secret as one that is not deleted."""
        try:
            self._get(key_id)
        except Disabled:
            return True
        except KeyNotFound:
            return False
        return True

    def is_deleted(self, key_id: str) -> bool:
        """Return whether the vault shows the secret as a deleted one."""
        return self._deleted.find(key_id) is not None

    def describe_deleted(self, key_id: str) -> Key:
        """Return the deleted secret of that name. Raises :class:`KeyNotFound`: there is none."""
        deleted = self._deleted.find(key_id)
        if deleted is None:
            msg = "there is no such key or version"
            todo = (
                "Check the name and the vault; a key that was deleted or restored in the last "
                "minutes shows as neither"
            )
            raise KeyNotFound(msg, key_id=key_id, todo=todo)
        return deleted

    def shows(
        self, key_id: str, version: str, *, enabled: bool | None, tags: Mapping[str, str] | None
    ) -> bool:
        """Return whether a version has these tags, and is enabled or not; ``None``: either."""
        key = self.describe(key_id, exact=True)
        if key.deleted is not None:
            return False
        found = key.version(version)
        if found is None:
            return False
        disabled = found.state is VersionState.RETIRED
        return enabled is not disabled and tags in (None, look_of(key).all_tags.get(version))

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

    def _get(self, key_id: str) -> "SecretProperties":
        return self._vault.call(
            key_id, lambda c: answers.version_of(c.get_secret(key_id, **BOUNDS).properties, key_id)
        )

    def _list_versions(self, key_id: str) -> "list[SecretProperties]":
        versions = self._vault.pages(
            key_id,
            lambda c: c.list_properties_of_secret_versions(key_id, **PAGED),
            lambda version: answers.version_of(version, key_id),
        )
        return list(versions)


def to_key(newest: "SecretProperties", listed: "Iterable[SecretProperties] | None" = None) -> Key:
    """Return the key whose newest version has these properties.

    ``listed`` are all its versions, the newest one included, where they were listed.
    """
    tags = dict(newest.tags or {})
    ordered = None if listed is None else in_order(listed)
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
        enrolled=any(_shows_enrolment(p.tags or {}) for p in (newest, *(ordered or ()))),
        unfit=unfit_content(newest.content_type),
    )
    if ordered is not None:
        key = replace(key, versions=tuple(_versions(current, ordered)))
    if newest.enabled is False:
        key = replace(key, trouble="its newest version is disabled")
    return key


def _current(newest: "SecretProperties") -> Version:
    name = own_name(newest)
    disabled = newest.enabled is False
    version = Version(
        id=newest.version or name or _unnamed(newest),
        state=VersionState.RETIRED if disabled else VersionState.CURRENT,
        created=age(newest),
        base_mark=base_mark_of(name),
        expires=date_of(newest.expires_on),
        retired=newest.updated_on if disabled else None,
        alias=name or _unnamed(newest),
    )
    return _marked(version, newest)


def _versions(current: Version, ordered: "list[SecretProperties]") -> Iterable[Version]:
    """Yield all versions; a version was superseded when the next one was made."""
    older = [p for p in ordered if p.version != current.id]
    names: set[str] = set()
    for number, properties in enumerate(older):
        name = own_name(properties)
        # Whoever sets a value with all tags of the one before copies its name as well.
        own = None if name is None or name in names else name
        names |= {name} if name is not None else set()
        after = older[number + 1] if number + 1 < len(older) else None
        superseded = max(age(after) if after is not None else current.created, age(properties))
        retired = properties.enabled is False
        version = Version(
            id=str(properties.version),
            state=VersionState.RETIRED if retired else VersionState.PREVIOUS,
            created=age(properties),
            base_mark=base_mark_of(own),
            superseded=superseded,
            retired=_retired(properties) if retired else None,
            alias=own or _unnamed(properties),
        )
        yield _marked(version, properties)
    yield replace(current, base_mark=None) if current.alias in names else current


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


def _shows_enrolment(tags: Mapping[str, str]) -> bool:
    """Whether a version has a name of ours, or the tag that an adoption writes.

    Whoever sets a value with all tags of the version before copies them, so a copy counts, too.
    """
    if parse_version_id(tags.get(NAME, "")) is not None:
        return True
    noted = tags.get(OPEN, "")
    if _NONE.fullmatch(noted):
        return True
    try:
        return bool(parse_time(noted, OPEN))
    except ConfigError:
        return False


def _unnamed(properties: "SecretProperties") -> str:
    """Return what names a version of others where its id is not shown: when it was made."""
    return f"made-{age(properties):%Y%m%dT%H%M%SZ}"


def _retired(properties: "SecretProperties") -> datetime | None:
    try:
        return parse_time((properties.tags or {})[RETIRED], RETIRED)
    except (KeyError, ConfigError):
        return properties.updated_on


def _lifetime(properties: "SecretProperties") -> timedelta | None:
    """Return how long the owner lets a version live, where an expiry date says so."""
    expires, created = date_of(properties.expires_on), date_of(properties.created_on)
    if expires is None or created is None:
        return None
    lifetime = expires - created
    return min(lifetime, _LONGEST) if lifetime > timedelta() else None
