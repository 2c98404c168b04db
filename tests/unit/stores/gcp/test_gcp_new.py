"""Where new secrets are kept, and under whose key: what the settings make of it."""

from datetime import timedelta
from typing import Any

import pytest
from daena_kms.errors import ConfigError
from daena_kms.stores.gcp.replication import new_secret
from google.cloud.secretmanager_v1 import Secret

from infra.local.gcp.sim import PROJECT, GcpSimulator


def key(location: str) -> str:
    """Return the name of a KMS key there."""
    return f"projects/p/locations/{location}/keyRings/r/cryptoKeys/k"


def replica(location: str, *, encrypted: bool = False) -> dict[str, Any]:
    """Return one replica's settings."""
    cmek = {"customer_managed_encryption": {"kms_key_name": key(location)}} if encrypted else {}
    return {"location": location, **cmek}


MADE: dict[str, tuple[dict[str, str], bool, dict[str, Any]]] = {
    "nothing is set": ({}, False, {"replication": {"automatic": {}}}),
    "empty settings": (
        dict.fromkeys(["GCP_REPLICAS", "GCP_KMS_KEY_NAMES", "GCP_VERSION_DESTROY_TTL"], ""),
        False,
        {"replication": {"automatic": {}}},
    ),
    "a key": (
        {"GCP_KMS_KEY_NAMES": key("global")},
        False,
        {
            "replication": {
                "automatic": {"customer_managed_encryption": {"kms_key_name": key("global")}}
            }
        },
    ),
    "replicas": (
        {"GCP_REPLICAS": " europe-west1, europe-west4 ,"},
        False,
        {
            "replication": {
                "user_managed": {"replicas": [replica("europe-west1"), replica("europe-west4")]}
            }
        },
    ),
    "replicas with keys": (
        {
            "GCP_REPLICAS": "europe-west1,europe-west4",
            "GCP_KMS_KEY_NAMES": f"{key('europe-west4')}, {key('europe-west1')}",
        },
        False,
        {
            "replication": {
                "user_managed": {
                    "replicas": [
                        replica("europe-west1", encrypted=True),
                        replica("europe-west4", encrypted=True),
                    ]
                }
            }
        },
    ),
    "regional": ({}, True, {}),
    "regional with a key": (
        {"GCP_KMS_KEY_NAMES": key("europe-west1")},
        True,
        {"customer_managed_encryption": {"kms_key_name": key("europe-west1")}},
    ),
    "a delay": (
        {"GCP_VERSION_DESTROY_TTL": "24h"},
        True,
        {"version_destroy_ttl": timedelta(hours=24)},
    ),
}


@pytest.mark.parametrize(("environ", "regional", "fields"), MADE.values(), ids=MADE)
def test_what_a_new_secret_has(
    environ: dict[str, str],
    regional: bool,
    fields: dict[str, Any],
) -> None:
    """The fields are those of the API, which takes them."""
    made = new_secret(environ, regional=regional)
    assert made == fields
    location = "europe-west1" if regional else None
    with GcpSimulator(location=location) as sim:
        parent = f"projects/{PROJECT}" + (f"/locations/{location}" if location else "")
        request = {"parent": parent, "secret_id": "key", "secret": Secret(made)}
        assert sim.client().create_secret(request=request).name.endswith("/secrets/key")


REFUSED: dict[str, tuple[dict[str, str], bool, str]] = {
    "no location": ({"GCP_REPLICAS": "Europe"}, False, r"GCP_REPLICAS has 'Europe'.*europe-west1,"),
    "a long one": ({"GCP_REPLICAS": "x" * 999}, False, "GCP_REPLICAS has 'x{80}'"),
    "no key's name": (
        {"GCP_KMS_KEY_NAMES": "my-key"},
        False,
        "'my-key', which is not the name of a key",
    ),
    "a version's name": (
        {"GCP_KMS_KEY_NAMES": key("global") + "/cryptoKeyVersions/1"},
        False,
        "which is not the name of a key",
    ),
    "a key elsewhere": (
        {"GCP_KMS_KEY_NAMES": key("europe-west1")},
        False,
        "takes one KMS key, in the location global. Set GCP_REPLICAS",
    ),
    "one of two keys elsewhere": (
        {"GCP_KMS_KEY_NAMES": f"{key('global')},{key('europe-west1')}"},
        False,
        "takes one KMS key, in the location global",
    ),
    "a replica without a key": (
        {"GCP_REPLICAS": "europe-west1,europe-west4", "GCP_KMS_KEY_NAMES": key("europe-west1")},
        False,
        "no key in europe-west4. Name one key for each",
    ),
    "regional replicas": (
        {"GCP_REPLICAS": "europe-west1"},
        True,
        "Unset GCP_REPLICAS and name one key in GCP_KMS_KEY_NAMES, or unset GCP_LOCATION",
    ),
    "two regional keys": (
        {"GCP_KMS_KEY_NAMES": f"{key('global')},{key('europe-west1')}"},
        True,
        "and at most one KMS key",
    ),
    "no duration": (
        {"GCP_VERSION_DESTROY_TTL": "soon"},
        False,
        "GCP_VERSION_DESTROY_TTL is 'soon'",
    ),
    "a short delay": ({"GCP_VERSION_DESTROY_TTL": "23h"}, False, "is 23h. It must be at least 24h"),
}


@pytest.mark.parametrize(("environ", "regional", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(environ: dict[str, str], regional: bool, words: str) -> None:
    """Before any call, with what to set instead."""
    with pytest.raises(ConfigError, match=words):
        new_secret(environ, regional=regional)
