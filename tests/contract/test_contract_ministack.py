"""The contract once more on the local AWS of the demonstration, by clients with our own settings.

It is laxer than AWS (a reused token overwrites, AWSPENDING may sit on two versions, a version
without a label stays listed), so cases that fill the labels or count versions have no place here;
but nobody here wrote it, so it shares none of our misreadings of the API.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter, CloudKMSAdapter

from infra.local.aws.ministack import REGION, LocalAws
from tests.contract.test_contract_keys import (
    test_a_created_key_reads_back,
    test_a_held_key_is_left_alone,
    test_a_key_exists_once,
    test_other_people_s_keys_are_read_and_never_changed,
    test_rollback_is_a_new_version,
    test_rollback_to_an_older_version,
    test_rotation_keeps_the_previous_version,
    test_tags_are_merged,
    test_values_of_one_s_own,
    test_what_is_not_there,
)
from tests.contract.test_contract_runs import (
    test_a_bad_policy_is_reported_on_every_run,
    test_a_token_is_retired_after_its_grace,
    test_adopting_never_rotates,
    test_named_keys_are_rotated_due_or_not,
    test_only_what_is_due_is_rotated,
)
from tests.worlds.aws import AwsWorld
from tests.worlds.base import World

__all__ = [
    "test_a_bad_policy_is_reported_on_every_run",
    "test_a_created_key_reads_back",
    "test_a_held_key_is_left_alone",
    "test_a_key_exists_once",
    "test_a_token_is_retired_after_its_grace",
    "test_adopting_never_rotates",
    "test_named_keys_are_rotated_due_or_not",
    "test_only_what_is_due_is_rotated",
    "test_other_people_s_keys_are_read_and_never_changed",
    "test_rollback_is_a_new_version",
    "test_rollback_to_an_older_version",
    "test_rotation_keeps_the_previous_version",
    "test_tags_are_merged",
    "test_values_of_one_s_own",
    "test_what_is_not_there",
]

# One local AWS serves all of it.
pytestmark = pytest.mark.xdist_group("ministack")


class MinistackWorld(World):
    """The adapter's own clients against ministack, found through the environment."""

    provider = "aws"
    unknown_version = AwsWorld.unknown_version

    def __init__(self, folder: Path, aws: LocalAws) -> None:
        super().__init__()
        self._aws = aws
        self._secrets = aws.client("secretsmanager")
        kms = aws.client("kms")
        self._kms_key: str = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.close()
        self.adapter = self.again()
        self.log = open_log((folder / "audit").as_uri())

    def wait(self, time: timedelta) -> None:
        """Its clock is the real one."""
        raise NotImplementedError(time)

    def again(self) -> CloudKMSAdapter:
        """Return an adapter that makes its clients itself."""
        return AWSKMSAdapter(REGION, self._kms_key)

    @property
    def environment(self) -> dict[str, str]:
        """What leads the SDK here."""
        return self._aws.environment

    def foreign(
        self,
        key_id: str,
        material: str,
        tags: Mapping[str, str] | None = None,
        *,
        age: timedelta = timedelta(),
    ) -> None:
        """Create a secret with the SDK, now."""
        assert not age, "its clock is the real one"
        pairs = [{"Key": name, "Value": text} for name, text in (tags or {}).items()]
        self._secrets.create_secret(Name=key_id, SecretString=material, Tags=pairs)

    def overwrite(self, key_id: str, material: str) -> None:
        """Put a value with the SDK's default stage."""
        self._secrets.put_secret_value(SecretId=key_id, SecretString=material)

    def retag(self, key_id: str, tags: Mapping[str, str | None]) -> None:
        """Change them through another adapter."""
        store = self.again().store
        store.tag(store.describe(key_id), tags)

    def erase(self, key_id: str) -> None:
        """Delete it without a recovery window."""
        self._secrets.delete_secret(SecretId=key_id, ForceDeleteWithoutRecovery=True)

    def enable(self, key_id: str, version: str) -> None:
        """Do nothing: a retired version reads by its id."""

    def state(self) -> dict[str, object]:
        """Return every secret's description."""
        pages = self._secrets.get_paginator("list_secrets").paginate()
        names = sorted(entry["Name"] for page in pages for entry in page["SecretList"])
        described = {name: self._secrets.describe_secret(SecretId=name) for name in names}
        return {name: {**one, "ResponseMetadata": None} for name, one in described.items()}

    def calls(self) -> int:
        """Return nothing that counts: ministack keeps no count."""
        return 0

    def store_calls(self) -> list[str]:
        """Return nothing, as above."""
        return []


@pytest.fixture
def world(
    local_aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Give an empty local AWS."""
    for name, text in local_aws.environment.items():
        monkeypatch.setenv(name, text)
    local_aws.reset()
    return MinistackWorld(tmp_path, local_aws)


def test_the_clock_is_the_real_one(world: World) -> None:
    """A secret that ministack made a moment ago is not due, and was not made in the future."""
    world.foreign("new-key", "x" * 43, {"daena.managed": "true", "daena.spec": "token"})
    key = world.adapter.store.describe("new-key")
    assert key.current is not None
    assert abs((datetime.now(UTC) - key.current.created).total_seconds()) < 60
    assert world.run().enrolled == ["new-key"]
    assert world.run().actions == []
