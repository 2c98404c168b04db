"""The permissions that a docstring lists are those that are used: none missing, none unused."""

import re
from datetime import timedelta

import pytest
from daena_kms.api.messages import Request
from daena_kms.api.router import respond
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.objects import s3
from daena_kms.stores.aws.store import AWSStore

from infra.local.aws.sim import REGION
from tests.faults.test_races import at_once
from tests.worlds.aws import AwsWorld
from tests.worlds.base import CLAIMED, DAY, FaultWorld

#: What nobody calls by name, but Secrets Manager does in our name under a KMS key of one's own.
INDIRECT = {"kms:Decrypt"}
KEY = "app-key"
#: docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
S3_ACTIONS = {"ListObjectsV2": "s3:ListBucket", "HeadObject": "s3:GetObject"}


def listed(text: str | None) -> set[str]:
    """Return the actions in a docstring; a name without a service is of the one named before."""
    found, service = set(), ""
    permissions = (text or "").partition("Permissions")[2].partition("https://")[0]
    for name in re.findall(r"``([a-z0-9]*:?[A-Z][A-Za-z]+)``", permissions):
        before, colon, action = name.rpartition(":")
        service = before if colon else service
        found.add(f"{service}:{action}")
    return found


def live_a_life(world: FaultWorld) -> None:
    """Do everything that an adapter, the operations, the engine and HTTP can do."""
    operations, destroys = world.operations(), world.adapter.store.can.destroy_means is not None
    operations.create(KEY)
    tags = {"daena.destroy-after": "30d"} if destroys else {}
    operations.create("api-token", spec="token", tags=tags)
    world.foreign("their-key", "x" * 43)
    world.foreign("old-key", "x" * 43, {"daena.managed": "true"})
    operations.adopt("their-key", spec="token")
    adapter = world.adapter
    adapter.create_key("made-key")
    adapter.rotate_key("made-key")
    adapter.rollback_key("made-key")
    adapter.get_key("made-key", "previous")
    adapter.store.tag(adapter.store.describe("made-key"), {"daena.hold": "true"})
    adapter.store.tag(adapter.store.describe("made-key"), {"daena.hold": None})
    adapter.list_keys()
    for method, path in (("GET", "/v1/health"), ("POST", "/v1/keys/made-key/rotate")):
        answer = respond(Request(method, path, None, "tester"), lambda: (adapter, world.log))
        assert answer.status < 300, answer.body
    for days in (92, 100, 140, 190, 240):
        world.run(days * DAY)
    world.run(240 * DAY, dry_run=True)
    at_once([lambda: world.run(240 * DAY, keys=[KEY]) for _ in range(4)])
    key = adapter.store.describe("made-key")
    adapter.store.stage(key, "never promoted", world.at(241 * DAY))
    world.run(241 * DAY + CLAIMED, keys=["made-key"])
    world.operations(242 * DAY).rollback(KEY)
    world.run(242 * DAY, keys=["their-key"], compromised=True, reason="it leaked")
    world.operations(242 * DAY).delete(KEY)
    world.operations(242 * DAY).restore(KEY)
    verify(world.log, adapter.store.inventory())


@pytest.fixture
def used(aws: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the actions of all calls of such a life."""
    aws.sim.calls.clear()
    live_a_life(aws)
    aws.foreign("older-key", "x" * 43, {"daena.managed": "true"})
    aws.sim.shift_clock(seconds=1)  # changed after it was made, so that its age is a bound
    aws.secrets.tag_resource(SecretId="older-key", Tags=[{"Key": "owner", "Value": "them"}])
    aws.adapter.store.describe("older-key", exact=True)
    own = AWSKMSAdapter(REGION, secrets_client=aws.secrets, kms_client=aws.kms)
    own.create_key("plain-key")
    monkeypatch.setenv("DAENA_KMS_AWS_BLOCK_COMPROMISED", "true")
    blocking = AWSKMSAdapter(REGION, secrets_client=aws.secrets, kms_client=aws.kms)
    leaked = run(blocking, aws.log, keys=["plain-key"], compromised=True, reason="it leaked")
    assert leaked.revoked == ["plain-key"]
    aws.run(300 * DAY + timedelta(hours=1))
    calls = {(c.service, c.operation) for c in aws.sim.calls if c.outcome == "ok"}
    return {S3_ACTIONS.get(name, f"{service}:{name}") for service, name in calls}


def test_the_store_s_permissions(used: set[str]) -> None:
    """AWSStore's docstring lists the actions on secrets and KMS that are used, and no other."""
    assert {a for a in used if not a.startswith("s3:")} == listed(AWSStore.__doc__) - INDIRECT
    assert listed(AWSStore.__doc__) >= INDIRECT


def test_the_log_s_permissions(used: set[str]) -> None:
    """s3_objects' docstring lists the actions on S3 that are used: never one to delete."""
    text = s3.s3_objects.__doc__
    assert {a for a in used if a.startswith("s3:")} == listed(text)
    assert not any("Delete" in action for action in listed(text))


def test_every_put_is_create_if_absent(aws: AwsWorld) -> None:
    """No put to the log could overwrite an object."""
    live_a_life(aws)
    puts = [c for c in aws.sim.calls if c.operation == "PutObject"]
    assert len(puts) > 20
    assert {c.params.get("IfNoneMatch") for c in puts} == {"*"}


def test_what_moves_the_current_version_unchecked_is_never_called(aws: AwsWorld) -> None:
    """No put uses the default label, no promotion goes without the base, and UpdateSecret never."""
    live_a_life(aws)
    for call in aws.sim.calls:
        assert call.operation not in {"UpdateSecret", "RotateSecret", "RotateKeyOnDemand"}
        stages = call.params.get("VersionStages")
        if call.operation == "PutSecretValue":
            assert isinstance(stages, list)
            assert "AWSCURRENT" not in stages
        if call.params.get("VersionStage") == "AWSCURRENT" and "MoveToVersionId" in call.params:
            assert "RemoveFromVersionId" in call.params
        assert call.params.get("ForceDeleteWithoutRecovery") in {None, False}
