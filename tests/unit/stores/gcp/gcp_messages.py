"""Secrets and versions as Secret Manager's client shows them, for tests of what reads them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from daena_kms.rules.model import Key, Version
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.stores.gcp.state import VERSIONS, Record, to_key, write_records
from daena_kms.stores.gcp.store import GCPStore
from google.cloud.secretmanager_v1 import Secret, SecretVersion

from tests.unit.keys import DAY, DEFAULTS, NOW

NAME = "projects/4711/secrets/some-key"
MANAGED = {"daena.managed": "true", "daena.spec": "token"}
MADE = NOW - 10 * DAY


def secret(
    records: Mapping[str, Record] | None = None,
    *,
    annotations: Mapping[str, str] | None = None,
    aliases: Mapping[str, int] | None = None,
    created: datetime | None = MADE - 90 * DAY,
    expires: datetime | None = None,
) -> Secret:
    """Return a managed secret whose annotations hold these records."""
    noted = {} if records is None else {VERSIONS: write_records(records)}
    return Secret(
        name=NAME,
        annotations={**MANAGED, **noted, **(annotations or {})},
        version_aliases=dict(aliases or {}),
        create_time=created,
        expire_time=expires,
        etag='"etag"',
    )


def listed(number: int, state: str = "ENABLED", created: datetime | None = MADE) -> SecretVersion:
    """Return a version as a listing shows it."""
    return SecretVersion(
        name=f"{NAME}/versions/{number}",
        state=getattr(SecretVersion.State, state),
        create_time=created,
    )


def one(shown: Secret, number: str, *versions: SecretVersion) -> Version:
    """Return one version of the key; with ``versions``, as a closer look shows it."""
    found = look(shown, *versions).version(number)
    assert found is not None
    return found


def look(shown: Secret, *versions: SecretVersion) -> Key:
    """Return the key as a listing shows it, or as a closer look does."""
    return to_key(shown, versions or None)


def planned(key: Key) -> list[Kind]:
    """Return what is planned for the key at NOW, whose grace is a day."""
    tagged = replace(key, tags={**key.tags, "daena.grace": "1d"})
    return [action.kind for action in plan_key(tagged, DEFAULTS, GCPStore.can, NOW)]
