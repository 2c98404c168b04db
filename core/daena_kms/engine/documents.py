"""Keys as the API and the command line show them: metadata and versions, never values."""

from typing import Any

from daena_kms.errors import DaenaKMSError
from daena_kms.rules.due import due_at
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key, Version
from daena_kms.rules.policy import parse_policy
from daena_kms.stores.adapter import CloudKMSAdapter


def listed_key(key: Key, adapter: CloudKMSAdapter) -> dict[str, Any]:
    """Return what a listing shows of a key on every store."""
    current = key.current
    return {
        "key": key.id,
        "tags": dict(key.tags),
        "deleted": format_time(key.deleted) if key.deleted else None,
        "created": format_time(current.created) if current is not None else None,
        "due": _due(key, adapter),
    }


def key_document(key: Key, adapter: CloudKMSAdapter) -> dict[str, Any]:
    """Return a key with its versions, as a closer look shows them."""
    current = key.current
    return {
        **listed_key(key, adapter),
        "current": current.id if current is not None else None,
        "versions": [_version(version) for version in key.versions],
    }


def _version(version: Version) -> dict[str, Any]:
    times = {
        "created": version.created,
        "superseded": version.superseded,
        "retired": version.retired,
        "to_be_destroyed": version.to_be_destroyed,
        "expires": version.expires,
    }
    return {
        "id": version.id,
        "state": version.state.value,
        "compromised": version.compromised,
        "unlabelled": version.unlabelled,
        **{name: format_time(time) if time else None for name, time in times.items()},
    }


def _due(key: Key, adapter: CloudKMSAdapter) -> str | None:
    """Return when the key is due.

    ``None``: it has no version, its policy is malformed, or a run has yet to enrol it.
    """
    if not key.enrolled:
        return None
    try:
        return format_time(due_at(key, parse_policy(key.tags, adapter.defaults, adapter.store.can)))
    except DaenaKMSError:
        return None
