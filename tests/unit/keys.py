"""Keys and versions as a store would show them, for tests of what decides."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from daena_kms.rules.model import Capabilities, Key, Revoking, Version, VersionState
from daena_kms.rules.names import mark, new_version_id
from daena_kms.rules.policy import MANAGED, Defaults

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
CAN = Capabilities(
    retired_readable=None,
    destroys_version=True,
    destroy_means="erased",
    restores_key=True,
    delete_means="kept",
    revoking=Revoking("marked", None, "its readers", "unmark it"),
)
DEFAULTS = Defaults()
ORIGIN = mark(None)


def version(
    age: timedelta,
    state: VersionState = VersionState.CURRENT,
    *,
    base_mark: str | None = ORIGIN,
    superseded: timedelta | None = None,
    retired: timedelta | None = None,
) -> Version:
    """Return a version made ``age`` ago, superseded and retired so long ago."""
    made = NOW - age
    return Version(
        new_version_id(None, made),
        state,
        made,
        base_mark=base_mark,
        superseded=NOW - superseded if superseded is not None else None,
        retired=NOW - retired if retired is not None else None,
    )


def previous(superseded: timedelta) -> Version:
    """Return a readable version that was superseded so long ago."""
    return version(superseded + 90 * DAY, VersionState.PREVIOUS, superseded=superseded)


def retired(ago: timedelta) -> Version:
    """Return a version that was retired so long ago."""
    return version(ago + 97 * DAY, VersionState.RETIRED, superseded=ago + 7 * DAY, retired=ago)


def tagged(tags: Mapping[str, str], *versions: Version) -> Key:
    """Return a managed key with these tags, ``daena.`` left out, made a day ago by default."""
    named = {f"daena.{name}": value for name, value in tags.items()}
    return Key("k", {MANAGED: "true", **named}, versions or (version(DAY),))


def aged(age: timedelta, tags: Mapping[str, str] | None = None) -> Key:
    """Return a managed key whose only version was made ``age`` ago."""
    return tagged(tags or {}, version(age))


def bounded(key: Key, uncertain: timedelta) -> Key:
    """Return the key with its current version perhaps made that much earlier than it says."""
    versions = [
        replace(v, created_earliest=v.created - uncertain) if v.state is VersionState.CURRENT else v
        for v in key.versions
    ]
    return replace(key, versions=tuple(versions))


def at(text: timedelta) -> str:
    """Return the moment so long after NOW, as a tag holds it."""
    return (NOW + text).isoformat().replace("+00:00", "Z")
