"""The contract once more on the local AWS of the demonstration, by clients with our own settings.

It is laxer than AWS (a reused token overwrites, AWSPENDING may sit on two versions, a version
without a label stays listed), so cases that fill the labels or count versions have no place here;
but nobody here wrote it, so it shares none of our misreadings of the API.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.cloud_kms import AWSKMSAdapter, CloudKMSAdapter

from infra.local.aws.ministack import REGION
from tests.contract.harness import Harness
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
from tests.worlds.ministack import LocalAws, local_aws

__all__ = [
    "local_aws",
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


class MinistackHarness(Harness):
    """The adapter's own clients against ministack, found through the environment."""

    def __init__(self, folder: Path, aws: LocalAws) -> None:
        super().__init__(folder)
        self._secrets = aws.client("secretsmanager")
        kms = aws.client("kms")
        self._kms_key: str = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.close()
        self.adapter = self.again()

    def again(self) -> CloudKMSAdapter:
        """Return an adapter that makes its clients itself."""
        return AWSKMSAdapter(REGION, self._kms_key)

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Create a secret with the SDK."""
        pairs = [{"Key": name, "Value": text} for name, text in (tags or {}).items()]
        self._secrets.create_secret(Name=key_id, SecretString=material, Tags=pairs)

    def overwrite(self, key_id: str, material: str) -> None:
        """Put a value with the SDK's default stage."""
        self._secrets.put_secret_value(SecretId=key_id, SecretString=material)

    def erase(self, key_id: str) -> None:
        """Delete it without a recovery window."""
        self._secrets.delete_secret(SecretId=key_id, ForceDeleteWithoutRecovery=True)

    def state(self) -> object:
        """Return every secret's description."""
        pages = self._secrets.get_paginator("list_secrets").paginate()
        names = sorted(entry["Name"] for page in pages for entry in page["SecretList"])
        described = [self._secrets.describe_secret(SecretId=name) for name in names]
        return [{**answer, "ResponseMetadata": None} for answer in described]

    def calls(self) -> int:
        """Return nothing that counts: ministack keeps no count."""
        return 0


@pytest.fixture
def harness(
    local_aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Harness:
    """Give an empty local AWS."""
    for name, text in local_aws.environment.items():
        monkeypatch.setenv(name, text)
    local_aws.reset()
    return MinistackHarness(tmp_path, local_aws)


def test_the_clock_is_the_real_one(harness: Harness) -> None:
    """A secret that ministack made a moment ago is not due, and was not made in the future."""
    harness.foreign("new-key", "x" * 43, {"daena.managed": "true"})
    key = harness.adapter.store.describe("new-key")
    assert key.current is not None
    assert abs((datetime.now(UTC) - key.current.created).total_seconds()) < 60
    assert harness.run().actions == []
