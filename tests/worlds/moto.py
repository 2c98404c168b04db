"""A world on moto, AWS as others wrote it, in this process: boto3 calls it as it calls AWS.

It is loaded on use: that takes a second, and each test process imports this module.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter

from tests.worlds.aws import AwsWorld
from tests.worlds.base import World

if TYPE_CHECKING:
    import boto3

REGION = "eu-central-1"
ACCOUNT = "123456789012"


@cache
def session() -> "boto3.Session":
    """Make the session once: it keeps the descriptions of the services."""
    import boto3

    return boto3.Session("AKIDMOTO", "unused", region_name=REGION)


@cache
def client(service: str) -> Any:
    """Make one client of somebody else for all tests: its calls go to whichever moto is active."""
    return session().client(service)  # type: ignore[call-overload]  # a name from a parameter


@cache
def _kms_key() -> str:
    """Make one KMS key for all tests, which takes moto longer than most of them."""
    return str(client("kms").create_key()["KeyMetadata"]["KeyId"])


class MotoWorld(World):
    """The adapter with a session of boto3, and the log in a folder."""

    provider = "aws"
    unknown_version = AwsWorld.unknown_version
    restorable_for = AwsWorld.restorable_for
    delete_says = AwsWorld.delete_says

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.secrets = client("secretsmanager")
        self.kms_key = _kms_key()
        self.adapter = self.again()
        self.log = open_log((folder / "audit").as_uri())

    @property
    def held_secrets(self) -> dict[str, Any]:
        """Moto's own state, for what no call can show or change."""
        return dict(_backend().secrets)

    def wait(self, time: timedelta) -> None:
        """Make everything older: moto's clock is the real one."""
        for secret in self.held_secrets.values():
            _older(secret, time)

    def again(self) -> AWSKMSAdapter:
        """Return an adapter with clients of its own."""
        return AWSKMSAdapter(None, self.kms_key, session=session())

    @property
    def environment(self) -> dict[str, str]:
        """Moto is in no environment."""
        raise NotImplementedError

    def foreign(
        self,
        key_id: str,
        material: str,
        tags: Mapping[str, str] | None = None,
        *,
        age: timedelta = timedelta(),
    ) -> None:
        """Create a secret, and make it so old."""
        pairs = [{"Key": name, "Value": text} for name, text in (tags or {}).items()]
        given = {"Tags": pairs} if pairs else {}
        self.secrets.create_secret(Name=key_id, SecretString=material, **given)
        _older(self.held_secrets[key_id], age)

    def overwrite(self, key_id: str, material: str) -> None:
        """Put a value with the SDK's default stage."""
        self.secrets.put_secret_value(SecretId=key_id, SecretString=material)

    def retag(self, key_id: str, tags: Mapping[str, str | None]) -> None:
        """Change them through another adapter."""
        store = self.again().store
        store.tag(store.describe(key_id), tags)

    def erase(self, key_id: str) -> None:
        """Delete it without a recovery window."""
        self.secrets.delete_secret(SecretId=key_id, ForceDeleteWithoutRecovery=True)

    def enable(self, key_id: str, version: str) -> None:
        """Do nothing: a retired version reads by its id."""

    def state(self) -> dict[str, object]:
        """Return every secret's description and values."""
        return {
            name: (secret.to_dict(), repr(secret.versions))
            for name, secret in self.held_secrets.items()
        }

    def values(self) -> list[str]:
        """Return the text of each version."""
        held = self.held_secrets.values()
        return [v["secret_string"] for secret in held for v in secret.versions.values()]

    def calls(self) -> int:
        """Return nothing that counts: moto keeps no count."""
        return 0

    def store_calls(self) -> list[str]:
        """Return nothing, as above."""
        return []


def _backend() -> Any:
    from moto.secretsmanager.models import secretsmanager_backends

    return secretsmanager_backends[ACCOUNT][REGION]


def _older(secret: Any, age: timedelta) -> None:
    secret.created_date -= age.total_seconds()
    secret.last_changed_date -= age.total_seconds()
    if secret.deleted_date is not None:
        secret.deleted_date -= age.total_seconds()
    for version in secret.versions.values():
        version["createdate"] -= age.total_seconds()


@contextmanager
def open_moto(folder: Path) -> Iterator[MotoWorld]:
    """Give an AWS without secrets as moto has it."""
    from moto import mock_aws

    mock = mock_aws()
    mock.start(reset=False)
    _backend().reset()
    try:
        yield MotoWorld(folder)
    finally:
        mock.stop(remove_data=False)
