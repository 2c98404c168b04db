"""Each store with its log, as the environment leads the command line to them, all in order."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import Check, Status, examine
from daena_kms.engine import run
from daena_kms.operations import Operations
from google.oauth2.credentials import Credentials

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, AwsSimulator, clients
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.sim import PROJECT, GcpSimulator

KEY = "app-key"
STORES = ("local", "aws", "azure", "gcp")


@dataclass
class Patient:
    """A store and its log. ``sim`` is the cloud, where there is one."""

    provider: str
    sim: Any = None
    #: The KMS key's id, where there is one.
    kms_key: str = ""
    shift: timedelta = field(default_factory=timedelta)

    def create(self, key_id: str = KEY, **tags: str) -> None:
        """Make a key through the log."""
        adapter = get_cloud_kms_adapter(self.provider)
        Operations(adapter, open_log()).create(key_id, tags=tags)

    def schedule(self, now: datetime | None = None, **options: Any) -> None:
        """Let the schedule fire."""
        adapter = get_cloud_kms_adapter(self.provider)
        run(adapter, open_log(), now=now, trigger="schedule", principal="timer", **options)

    def now(self) -> datetime:
        """What this machine's clock says."""
        return datetime.now(UTC) + self.shift

    def checks(self, **options: Any) -> dict[str, Check]:
        """Let the doctor look; each finding has a name of its own."""
        found = list(examine(self.provider, now=self.now, **options))
        assert len({check.name for check in found}) == len(found)
        return {check.name: check for check in found}

    def odd(self, **options: Any) -> dict[str, Check]:
        """Let the doctor look, and return what is not in order."""
        return {n: c for n, c in self.checks(**options).items() if c.status is not Status.OK}


@contextmanager
def patient(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Patient]:
    """Give the store of that name, with nothing in it."""
    patch.setenv("DAENA_OPERATOR", "tester")
    patch.setenv("DAENA_CLOUD_KMS_PROVIDER", name)
    match name:
        case "aws":
            with AwsSimulator() as aws:
                made = clients(aws.url)
                key = made.kms.create_key()["KeyMetadata"]["KeyId"]
                made.kms.enable_key_rotation(KeyId=key)
                made.secrets.close()
                made.kms.close()
                _lead(patch, _aws(aws.url, key))
                yield Patient(name, aws, key)
        case "azure":
            with AzureSimulator() as azure:
                azure.blobs.protections["audit"] = {"has-immutability-policy"}
                _lead(patch, azure.app_environment)
                yield Patient(name, azure)
        case "gcp":
            with GcpSimulator() as gcp:
                _lead(patch, gcp.app_environment)
                # The SDK reads once, when it is imported, where the metadata server is.
                credentials = Credentials(ROTATOR)  # type: ignore[no-untyped-call]  # as it is declared
                patch.setattr("google.auth.default", lambda **_: (credentials, PROJECT))
                yield Patient(name, gcp)
        case _:
            home = str(folder / "store")
            _lead(patch, {"DAENA_KMS_HOME": home})
            _lead(patch, {"DAENA_KMS_AUDIT_URL": (folder / "audit").as_uri()})
            yield Patient(name)


def allow(gcp: GcpSimulator, permissions: list[str] | None) -> None:
    """Let who asks do this alone: over gRPC the emulator's client is nobody."""
    for principal in (ROTATOR, ""):
        gcp.set_role(principal, permissions)


def _aws(url: str, key: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(),
        "AWS_KMS_KEY_ID": key,
        "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
    }


def _lead(patch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for variable, value in environment.items():
        patch.setenv(variable, value)
