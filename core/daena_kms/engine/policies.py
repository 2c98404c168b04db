"""A key's policy as the command line, the API and the service show it. Never a value."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daena_kms.errors import ConfigError, DaenaKMSError, KeyNotFound
from daena_kms.rules.destroying import (
    Outlook,
    destroy_reason,
    destroyable,
    oldest_previous,
    outlook,
)
from daena_kms.rules.due import due_at
from daena_kms.rules.durations import format_duration, format_time
from daena_kms.rules.fields import fields_of
from daena_kms.rules.model import Key
from daena_kms.rules.names import check_key_id
from daena_kms.rules.policy import HOLD, Policy, parse_policy
from daena_kms.rules.strength import bits_of
from daena_kms.stores.adapter import CloudKMSAdapter


def show_policy(adapter: CloudKMSAdapter, key_id: str) -> dict[str, Any]:
    """Look at a managed key, and return its policy as :func:`policy_document` does.

    Raises:
        InvalidKeyId: The id is not portable.
        KeyNotFound: There is no such key, or it is deleted.
        NotManaged: The key is not managed.
        AccessDenied: The store refuses the call.
        StoreUnavailable: The store did not answer.
    """
    key = adapter.store.describe(check_key_id(key_id), exact=True)
    if key.deleted is not None:
        raise KeyNotFound("it is deleted", key_id=key_id, todo="Restore it first")
    adapter.check_managed(key)
    return policy_document(key, adapter)


def policy_document(key: Key, adapter: CloudKMSAdapter) -> dict[str, Any]:
    """Return each field of a key's policy with its source, and what the policy leads to.

    Args:
        key: An exact look at the key.
        adapter: The store, and the policy of keys whose tags say nothing.

    Returns:
        ``fields`` by name, each with its value, its ``source`` (``tag``, ``setting``, ``default``)
        and what it is ``set_by``; the ``bits`` of a fresh value and the least that is allowed;
        when the key is ``due``; what happens to the ``oldest_previous`` version, and to the one
        that is destroyed next. If the policy is refused, ``error`` says why, and the rest is empty.
    """
    defaults = adapter.defaults
    document: dict[str, Any] = {
        "key": key.id,
        "tags": dict(key.tags),
        "hold": key.tags.get(HOLD, "false"),
        "min_bits": defaults.min_bits,
        "kept_for": format_duration(defaults.kept_for),
        "error": None,
    }
    try:
        policy = parse_policy(key.tags, defaults, adapter.store.can)
    except ConfigError as error:
        refused = {"error": error.code, "message": str(error)}
        empty = dict.fromkeys(("bits", "due", "oldest_previous", "next_destroyed"))
        return {**document, "fields": {}, **empty, "error": refused}
    oldest = oldest_previous(key)
    gone = next((version for _, version in destroyable(key, policy)), None)
    return {
        **document,
        "fields": {
            f.name: {"value": f.value, "source": f.source, "set_by": f.set_by}
            for f in fields_of(policy, key.tags, defaults)
        },
        "bits": round(bits_of(policy.spec), 1),
        "due": _due(key, policy),
        "oldest_previous": None if oldest is None else _outlook(outlook(oldest, policy), policy),
        "next_destroyed": None if gone is None else _outlook(outlook(gone, policy), policy),
    }


def _due(key: Key, policy: Policy) -> str | None:
    try:
        return format_time(due_at(key, policy))
    except DaenaKMSError:  # it has no current version
        return None


def _outlook(found: Outlook, policy: Policy) -> Mapping[str, str | None]:
    def text(time: datetime | None) -> str | None:
        return None if time is None else format_time(time)

    why = None if found.destroyed is None else destroy_reason(policy, bound=found.bound)
    superseded = found.version.superseded
    return {
        "version": found.version.id,
        "state": found.version.state.value,
        "superseded": text(superseded),
        "retired": text(found.retired),
        "destroyed": text(found.destroyed),
        "why": why,
    }
