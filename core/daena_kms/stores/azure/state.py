"""What Key Vault says of a secret, as a key and its versions. No calls.

A version that we set carries two tags of our own beside the policy's: ``daena-version``, an id of
ours that says when it was made and from what, and, where older versions may be readable still,
``daena-open``, when the oldest of them was superseded. A listing shows the newest version alone
and not even its id; from these two it can be told when the key is due and whether anything is to
be retired.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import MAX_DAYS, parse_time
from daena_kms.rules.model import PROMOTION_BOUND, Key, Version, VersionState
from daena_kms.rules.names import PLAUSIBLE_YEARS, mark, parse_version_id
from daena_kms.rules.policy import PREFIX
from daena_kms.stores.azure.notes import NAME, OPEN, RETIRED, Look, open_note

if TYPE_CHECKING:
    from azure.keyvault.secrets import DeletedSecret, SecretProperties

#: A version is set right after its id was stamped; Key Vault's dates are whole seconds.
_STAMPED = timedelta(minutes=5)
#: The longest life that a new version takes over: an expiry date in the year 9999 is common, and no
#: sum may leave what a datetime can hold.
_LONGEST = timedelta(days=MAX_DAYS)


def to_key(newest: "SecretProperties", others: "Iterable[SecretProperties] | None" = None) -> Key:
    """Return the key whose newest version has these properties.

    ``others`` are all of its versions, the newest one included, where they were listed.
    """
    tags = dict(newest.tags or {})
    listed = None if others is None else _in_order(others)
    version = _current(newest)
    key = Key(
        id=str(newest.name).lower(),
        tags={name: text for name, text in tags.items() if name.startswith(PREFIX)},
        versions=(version,),
        owner="the certificate of that name" if newest.managed else None,
        handle=Look(
            version=newest.version or None,
            tags=tags,
            content_type=newest.content_type,
            lifetime=_lifetime(newest),
            recoverable="Recoverable" in (newest.recovery_level or ""),
            all_tags={str(p.version): dict(p.tags or {}) for p in listed or ()},
        ),
        older_since=_older_since(tags, version) if listed is None else None,
    )
    if listed is not None:
        key = replace(key, versions=tuple(_versions(version, listed)))
    if newest.enabled is False:
        key = replace(key, trouble="its newest version is disabled")
    return key


def deleted_key(found: "DeletedSecret") -> Key:
    """Return a deleted key; its versions can't be seen."""
    tags = found.properties.tags or {}
    return Key(
        id=str(found.name).lower(),
        tags={name: text for name, text in tags.items() if name.startswith(PREFIX)},
        versions=(),
        deleted=found.deleted_date or datetime.now(UTC),
    )


def _current(newest: "SecretProperties") -> Version:
    name = _name(newest)
    parsed = parse_version_id(name) if name is not None else None
    made = _age(newest)
    disabled = newest.enabled is False
    return Version(
        id=newest.version or name or _unnamed(newest),
        state=VersionState.RETIRED if disabled else VersionState.CURRENT,
        created=made,
        base=parsed.base if parsed is not None else None,
        expires=_date(newest.expires_on),
        retired=newest.updated_on if disabled else None,
        alias=name or _unnamed(newest),
    )


def _versions(current: Version, listed: "list[SecretProperties]") -> Iterable[Version]:
    """Yield all versions; a version was superseded when the next one was made."""
    older = [p for p in listed if p.version != current.id]
    names: set[str] = set()
    for number, properties in enumerate(older):
        name = _name(properties)
        # Who sets a value with all tags of the one before copies its name, too.
        own = None if name is None or name in names else name
        names |= {name} if name is not None else set()
        after = older[number + 1] if number + 1 < len(older) else None
        superseded = max(_age(after) if after is not None else current.created, _age(properties))
        parsed = parse_version_id(own) if own is not None else None
        retired = properties.enabled is False
        yield Version(
            id=str(properties.version),
            state=VersionState.RETIRED if retired else VersionState.PREVIOUS,
            created=_age(properties),
            base=parsed.base if parsed is not None else None,
            superseded=superseded,
            retired=_retired(properties) if retired else None,
            alias=own or _unnamed(properties),
        )
    yield replace(current, base=None) if current.alias in names else current


def newest_of(listed: "list[SecretProperties]") -> "SecretProperties":
    """Return the newest of a secret's versions, which the vault says is disabled.

    Where dates tie it is the disabled one.
    """
    return max(listed, key=lambda p: (_age(p), p.enabled is False))


def _in_order(listed: "Iterable[SecretProperties]") -> "list[SecretProperties]":
    """Return versions in the order in which they were made; their dates are whole seconds."""
    versions = list(listed)
    by_mark = {mark(p.version): p for p in versions}

    def ancestors(found: "SecretProperties | None") -> int:
        count = 0
        while found is not None and count < len(versions):
            parsed = parse_version_id(_name(found) or "")
            found = by_mark.get(parsed.base) if parsed is not None else None
            count += 1
        return count

    return sorted(versions, key=lambda p: (_age(p), ancestors(p)))


def _older_since(tags: Mapping[str, str], current: Version) -> datetime | None:
    """Return since when older versions may be readable, as far as the newest one's tags tell."""
    if tags.get(OPEN) == open_note(current, None):
        return None
    try:
        known = parse_time(tags[OPEN], OPEN) if OPEN in tags else None
    except ConfigError:
        known = current.created
    if known is not None:
        return min(known, current.created)
    # A version of ours without that tag has nothing readable before it; of others nobody knows.
    return None if current.base is not None else current.created


def _name(properties: "SecretProperties") -> str | None:
    """Return the version's name of ours, unless it was copied from an older version."""
    name = (properties.tags or {}).get(NAME, "")
    parsed = parse_version_id(name)
    if parsed is None or _age(properties) - parsed.made > PROMOTION_BOUND + _STAMPED:
        return None
    return name


def _unnamed(properties: "SecretProperties") -> str:
    """Return what stands for a version of others where its id is not shown: when it was made."""
    return f"made-{_age(properties):%Y%m%dT%H%M%SZ}"


def _age(properties: "SecretProperties") -> datetime:
    """Return when a version was made: as the vault says, or the stamp in its name if that is later.

    They differ by less than a second or two, unless a clock is wrong: then the key is reported.
    """
    made = _date(properties.created_on)
    if made is None or made.year not in PLAUSIBLE_YEARS:
        made = datetime.fromtimestamp(0, UTC)
    parsed = parse_version_id((properties.tags or {}).get(NAME, ""))
    return made.astimezone(UTC) if parsed is None else max(made.astimezone(UTC), parsed.made)


def _retired(properties: "SecretProperties") -> datetime | None:
    try:
        return parse_time((properties.tags or {})[RETIRED], RETIRED)
    except (KeyError, ConfigError):
        return properties.updated_on


def _lifetime(properties: "SecretProperties") -> timedelta | None:
    """Return for how long the owner lets a version live, where an expiry date says so."""
    expires, made = _date(properties.expires_on), _date(properties.created_on)
    if expires is None or made is None:
        return None
    lifetime = expires - made
    return min(lifetime, _LONGEST) if lifetime > timedelta() else None


def _date(found: object) -> datetime | None:
    """Return a date; a number that is none the SDK passes on as it came."""
    return found if isinstance(found, datetime) else None
