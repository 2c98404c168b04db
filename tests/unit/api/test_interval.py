"""The least interval where somebody else made the versions, and what the API tells of their age."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.cloud_kms import AWSKMSAdapter, CloudKMSAdapter
from daena_kms.engine import run
from daena_kms.operations import Operations

from infra.local.aws.sim import REGION, AwsSimulator, clients
from tests.unit.api.asking import ask, check_problem
from tests.unit.engine.engines import World

DAY = timedelta(days=1).total_seconds()


class Adopted(World):
    """A secret on AWS that somebody else made a day ago, and that was adopted just now."""

    def __init__(self, home: Path, sim: AwsSimulator) -> None:
        super().__init__(home)
        secrets, kms = clients(sim.url)
        sim.shift_clock(seconds=-DAY)
        secrets.create_secret(Name="app-key", SecretString="x" * 40)
        sim.shift_clock(seconds=DAY)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        self.adapter: CloudKMSAdapter = AWSKMSAdapter(
            REGION, key, secrets_client=secrets, kms_client=kms
        )
        Operations(self.adapter, self.log).adopt("app-key", spec="password")


@pytest.fixture
def adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An adopted key, and an interval of an hour."""
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "1h")
    with AwsSimulator() as sim:
        yield Adopted(tmp_path, sim)


def test_a_changed_tag_does_not_shut_the_door(adopted: World) -> None:
    """AWS dates a version that others made by the secret's last change: the listing says when."""
    assert ask(adopted, "POST", "/v1/keys/app-key/hold").status == 200
    assert ask(adopted, "POST", "/v1/keys/app-key/release").status == 200
    assert ask(adopted, "POST", "/v1/keys/app-key/rotate").status == 200
    check_problem(ask(adopted, "POST", "/v1/keys/app-key/rotate"), 429, "too-soon")


def test_the_first_rotation_of_an_adopted_key_can_be_undone_at_once(adopted: World) -> None:
    """And not twice."""
    assert ask(adopted, "POST", "/v1/keys/app-key/rotate").status == 200
    assert ask(adopted, "POST", "/v1/keys/app-key/rollback").status == 200
    check_problem(ask(adopted, "POST", "/v1/keys/app-key/rollback"), 429, "too-soon")


@pytest.mark.parametrize("what", ["rotate", "rollback"])
def test_the_age_of_what_is_not_ours_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A key that is not managed, or deleted, is refused as that, however young it is."""
    world.create("their-key", "gone-key")
    world.adapter.rotate_key("their-key")
    world.store.tag(world.store.describe("their-key"), {"daena.managed": None})
    world.adapter.delete_key("gone-key")
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "1h")
    check_problem(ask(world, "POST", f"/v1/keys/their-key/{what}"), 409, "not-managed")
    check_problem(ask(world, "POST", f"/v1/keys/gone-key/{what}"), 404, "key-not-found")


def test_a_bound_that_no_look_lifts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts by its early end: the late one is that of any change."""
    world.create("app-key")
    key = world.store.describe("app-key")
    assert key.current is not None
    early = datetime.now(UTC) - timedelta(days=1)
    bounded = replace(key, versions=(replace(key.current, created_earliest=early),))
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "1h")
    monkeypatch.setattr(world.store, "describe", lambda *_, **__: bounded)
    assert ask(world, "POST", "/v1/keys/app-key/rotate").status == 200


class Aged(World):
    """A local key whose first two versions were made two days ago."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        early = datetime.now(UTC) - timedelta(days=2)
        Operations(self.adapter, self.log, now=early).create("app-key")
        run(self.adapter, self.log, now=early + timedelta(minutes=1), keys=["app-key"])


@pytest.mark.parametrize("then", ["rollback", "rotate"])
def test_a_rollback_counts_as_a_rotation_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Whatever the age of the versions around it: nobody rolls back and forth without end."""
    world = Aged(tmp_path)
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "1h")
    assert ask(world, "POST", "/v1/keys/app-key/rollback").status == 200
    count = world.count("app-key")
    check_problem(ask(world, "POST", f"/v1/keys/app-key/{then}"), 429, "too-soon")
    assert world.count("app-key") == count


def test_nonsense_in_the_log_refuses_no_rollback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no record, or is one too many, is passed over."""
    world = Aged(tmp_path)
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "1h")
    assert ask(world, "POST", "/v1/keys/app-key/rotate").status == 200
    hour = f"log/{datetime.now(UTC):%Y/%m/%d/%H}"
    for number in range(300):
        world.log.put_new(f"{hour}/{number:032x}/000000.json", b"nonsense")
    assert ask(world, "POST", "/v1/keys/app-key/rollback").status == 200
