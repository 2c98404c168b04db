"""Labels, tags and annotations that an older version wrote mean what they meant then.

``clouds.json`` was recorded with the code of 2026-11-26 (commit b92fa57) on that version's strict
simulators, through the official SDKs. On each cloud one key lived the same life: created, rotated
on the days 1, 4, 4.5 and 5, the last time because the value had leaked; the first version retired;
on the day 6 a rotation that ended before its promotion. ``key`` and ``listed_key`` are what that
version made of a closer look and of a listing.
"""

import json
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.keyvault.secrets import SecretProperties
from daena_kms.rules.model import Key
from daena_kms.stores.aws import state as aws
from daena_kms.stores.azure import look as azure
from daena_kms.stores.gcp import state as gcp
from google.cloud.secretmanager_v1 import Secret, SecretVersion

CLOUDS: dict[str, Any] = json.loads((Path(__file__).parent / "clouds.json").read_text())
REGION = "eu-central-1"


def _aws() -> Key:
    shown = CLOUDS["aws"]["shown"]
    dates = {name: _time(shown[name]) for name in ("CreatedDate", "LastChangedDate")}
    return aws.to_key({**shown, **dates}, REGION)


def _azure() -> Key:
    versions = [_properties(shown) for shown in CLOUDS["azure"]["shown"]]
    newest = next(v for v in versions if v.id == CLOUDS["azure"]["newest"])
    return azure.to_key(newest, versions)


def _gcp() -> Key:
    versions = [SecretVersion.from_json(json.dumps(v)) for v in CLOUDS["gcp"]["versions"]]
    return gcp.to_key(_secret(), versions)


@pytest.mark.parametrize(("cloud", "look"), [("aws", _aws), ("azure", _azure), ("gcp", _gcp)])
def test_a_closer_look_shows_the_same_key(cloud: str, look: Any) -> None:
    """Each version's state, times and origin, and the key's tags."""
    assert _plain(look()) == CLOUDS[cloud]["key"]


def test_azure_listings_show_the_same_key() -> None:
    """The newest version alone, and since when an older one may be readable."""
    key = azure.to_key(_properties(CLOUDS["azure"]["listing"]))
    assert _plain(key) == CLOUDS["azure"]["listed_key"]


def test_google_listings_show_the_same_key_and_claim() -> None:
    """What the annotations say, and who was rotating the key."""
    assert _plain(gcp.to_key(_secret())) == CLOUDS["gcp"]["listed_key"]
    claim = gcp.read_claim(dict(_secret().annotations))
    assert claim is not None
    found = {n: _text(getattr(claim, n)) for n in ("id", "highest", "at", "until", "since")}
    assert found == CLOUDS["gcp"]["claim"]


def _secret() -> Secret:
    found = Secret.from_json(json.dumps(CLOUDS["gcp"]["secret"]))
    assert isinstance(found, Secret)
    return found


def _properties(shown: dict[str, Any]) -> SecretProperties:
    """Return a version as the SDK shows it."""
    dates = {name: _time(shown[name]) for name in ("created", "updated", "expires")}
    attributes: Any = SimpleNamespace(
        enabled=shown["enabled"],
        recovery_level=shown["recovery_level"],
        recoverable_days=90,
        not_before=None,
        **dates,
    )
    given = {name: shown[name] for name in ("content_type", "managed", "tags")}
    return SecretProperties(attributes, shown["id"], **given)


def _plain(key: Key) -> dict[str, Any]:
    names = ("id", "owner", "deleted", "room", "older_since", "trouble", "drift")
    times = ("created", "created_earliest", "superseded", "retired", "expires")
    return {
        **{name: _text(getattr(key, name)) for name in names},
        "tags": dict(key.tags),
        "versions": [
            {
                "id": version.id,
                "state": version.state.value,
                "mark": version.base_mark,
                "alias": version.alias,
                **{name: _text(getattr(version, name)) for name in times},
            }
            for version in key.versions
        ],
    }


def _text(found: object) -> object:
    return found.isoformat() if isinstance(found, datetime) else found


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
