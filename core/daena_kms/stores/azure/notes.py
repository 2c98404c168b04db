"""What a rotation takes over from the newest version, and what we note in tags of our own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key, Version, VersionState

NAME = "daena-version"
OPEN = "daena-open"
RETIRED = "daena-retired"
OWN = (NAME, OPEN, RETIRED)
#: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#secret-tags
MAX_TAGS = 15


@dataclass(frozen=True, slots=True)
class Look:
    """The newest version's attributes, of which a new version takes over what is the owner's."""

    #: The version's own id; ``None`` in a listing.
    version: str | None
    tags: Mapping[str, str]
    content_type: str | None
    lifetime: timedelta | None
    recoverable: bool
    #: All versions' tags by id, where all were listed.
    all_tags: Mapping[str, Mapping[str, str]]


def look_of(key: Key) -> Look:
    """Return what this file put into the key."""
    if not isinstance(key.handle, Look):
        msg = "the key was not described by this store"
        raise TypeError(msg)
    return key.handle


def same(one: Look, other: Look) -> bool:
    """Whether two looks show the same newest version with the same attributes."""
    return replace(one, all_tags={}) == replace(other, all_tags={})


def oldest_readable(key: Key, *, without: str | None = None) -> datetime | None:
    """Return when the oldest readable version but the current one was superseded."""
    times = [
        v.superseded
        for v in key.versions
        if v.state is VersionState.PREVIOUS and v.superseded is not None and v.id != without
    ]
    return min(times, default=None)


def open_note(current: Version | None, since: datetime | None) -> str:
    """Return what the newest version notes of older ones: since when one is open, or that none is.

    That none is readable counts for this version alone: the note names its age, so that one which
    somebody copies to a new version hides nothing.
    """
    if since is not None:
        return format_time(since)
    return f"none-{current.created:%Y%m%dT%H%M%SZ}" if current is not None else "none"


def next_tags(key: Key, name: str, now: datetime) -> dict[str, str]:
    """Return the tags of the version that comes after the current one.

    Raises :class:`ConfigError` when they are more than Key Vault takes.
    """
    since = key.older_since or oldest_readable(key) or now
    kept = {tag: text for tag, text in look_of(key).tags.items() if tag not in OWN}
    return checked({**kept, NAME: name, OPEN: format_time(min(since, now))}, key.id)


def checked(tags: dict[str, str], key_id: str) -> dict[str, str]:
    """Return ``tags`` when Key Vault takes as many. Raises :class:`ConfigError`."""
    if len(tags) > MAX_TAGS:
        msg = f"it would carry {len(tags)} tags, and Key Vault takes {MAX_TAGS}"
        raise ConfigError(msg, key_id=key_id, todo="Remove tags that nobody needs")
    return tags
