"""Read the settings of new secrets: where their values are kept, and under which KMS keys."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import parse_duration

_KMS_KEY = re.compile(
    r"projects/[^/]+/locations/([a-z0-9-]+)/keyRings/[^/]+/cryptoKeys/[^/]+", re.ASCII
)
_LOCATION = re.compile(r"[a-z][a-z0-9-]{1,62}", re.ASCII)
_MIN_DELAY = timedelta(hours=24)


def new_secret(environ: Mapping[str, str], *, regional: bool) -> dict[str, Any]:
    """Return the fields of a new secret that the settings decide.

    ``GCP_REPLICAS`` lists the locations of its replicas, separated by commas; without it Google
    chooses them. ``GCP_KMS_KEY_NAMES`` lists the Cloud KMS keys that encrypt it: one in
    ``global``, or one in each replica's location, or the one of a regional secret.
    ``GCP_VERSION_DESTROY_TTL`` (at least ``24h``) is the time between a request to destroy a
    version and its end.

    Raises:
        ConfigError: A setting is malformed, or they contradict each other.

    https://cloud.google.com/secret-manager/docs/choosing-replication
    https://cloud.google.com/secret-manager/docs/cmek
    """
    keys = _keys(environ.get("GCP_KMS_KEY_NAMES", ""))
    replicas = _list(environ.get("GCP_REPLICAS", ""))
    fields = _delay(environ.get("GCP_VERSION_DESTROY_TTL", ""))
    if regional:
        if replicas or len(keys) > 1:
            msg = "a regional secret has no replicas, and at most one KMS key"
            todo = "Unset GCP_REPLICAS and name one key in GCP_KMS_KEY_NAMES, or unset GCP_LOCATION"
            raise ConfigError(msg, todo=todo)
        encryption = [{"kms_key_name": name} for name in keys.values()]
        return fields | ({"customer_managed_encryption": encryption[0]} if encryption else {})
    if not replicas:
        if keys.keys() - {"global"}:
            msg = "automatic replication takes one KMS key, in the location global"
            raise ConfigError(msg, todo="Set GCP_REPLICAS to the locations of your KMS keys")
        automatic = {"customer_managed_encryption": _cmek(keys["global"])} if keys else {}
        return fields | {"replication": {"automatic": automatic}}
    unused = sorted(keys.keys() - set(replicas))
    if unused:
        msg = f"GCP_KMS_KEY_NAMES has a key in {unused[0]}, where GCP_REPLICAS has no replica"
        raise ConfigError(msg, todo="Name one key for each location in GCP_REPLICAS")
    missing = [location for location in replicas if keys and location not in keys]
    if missing:
        msg = f"GCP_KMS_KEY_NAMES has no key in {missing[0]}"
        raise ConfigError(msg, todo="Name one key for each location in GCP_REPLICAS, or none")
    placed = [
        {"location": location}
        | ({"customer_managed_encryption": _cmek(keys[location])} if keys else {})
        for location in replicas
    ]
    return fields | {"replication": {"user_managed": {"replicas": placed}}}


def _cmek(name: str) -> dict[str, str]:
    return {"kms_key_name": name}


def _list(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if _LOCATION.fullmatch(name) is None:
            msg = f"GCP_REPLICAS has {name[:80]!r}, which is not a location"
            raise ConfigError(msg, todo="Write locations such as europe-west1,europe-west4")
    return names


def _keys(text: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for name in (part.strip() for part in text.split(",") if part.strip()):
        match = _KMS_KEY.fullmatch(name)
        if match is None:
            msg = f"GCP_KMS_KEY_NAMES has {name[:120]!r}, which is not the name of a key"
            todo = "Write projects/…/locations/…/keyRings/…/cryptoKeys/…, separated by commas"
            raise ConfigError(msg, todo=todo)
        if match[1] in keys:
            msg = f"GCP_KMS_KEY_NAMES has two keys in {match[1]}"
            raise ConfigError(msg, todo="Name one key for each location")
        keys[match[1]] = name
    return keys


def _delay(text: str) -> dict[str, Any]:
    if not text:
        return {}
    delay = parse_duration(text, "GCP_VERSION_DESTROY_TTL")
    if delay < _MIN_DELAY:
        msg = f"GCP_VERSION_DESTROY_TTL is {text[:40]}"
        raise ConfigError(msg, todo="It must be at least 24h")
    return {"version_destroy_ttl": delay}
