"""What is particular to Secret Manager: aliases, annotations, and readers of ``latest``."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.errors import ConfigError, NotManaged
from daena_kms.operations import Operations

from infra.local.gcp.sim import PROJECT, GcpSimulator
from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import open_world

TOKEN = "x" * 43
HOUR = timedelta(hours=1)


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[GcpWorld]:
    """Give an empty project."""
    with open_world("gcp", tmp_path, wire=True) as opened:
        assert isinstance(opened, GcpWorld)
        yield opened


def plain(gcp: GcpWorld, key_id: str, *values: str) -> str:
    """Make a secret as most are: versions, no alias and no annotation. Return its name."""
    made = gcp.client.create_secret(
        parent=f"projects/{PROJECT}",
        secret_id=key_id,
        secret={"replication": {"automatic": {}}},  # type: ignore[arg-type] # the same message
    )
    for text in values:
        gcp.client.add_secret_version(
            request={"parent": made.name, "payload": {"data": text.encode()}}
        )
    return str(made.name)


def read(gcp: GcpWorld, key_id: str, version: str) -> str:
    """Read as a consumer does."""
    name = f"projects/{PROJECT}/secrets/{key_id}/versions/{version}"
    return gcp.client.access_secret_version(name=name).payload.data.decode()


def test_a_plain_secret_is_adopted_as_its_readers_see_it(gcp: GcpWorld) -> None:
    """Its newest version is named current; nothing else changes, and a rotation moves the name."""
    plain(gcp, "their-token", "y" * 43, TOKEN)
    Operations(gcp.adapter, gcp.log).adopt("their-token", spec="token")
    assert read(gcp, "their-token", "current") == read(gcp, "their-token", "latest") == TOKEN
    assert gcp.run(keys=["their-token"]).rotated == ["their-token"]
    assert read(gcp, "their-token", "previous") == TOKEN
    assert read(gcp, "their-token", "current") == read(gcp, "their-token", "latest") != TOKEN
    assert gcp.sim.secrets["their-token"].labels["daena-managed"] == "true"


def test_what_has_nothing_to_read_is_not_adopted(gcp: GcpWorld) -> None:
    """A secret without a version, or whose newest one is disabled, is refused unchanged."""
    plain(gcp, "empty-key")
    name = plain(gcp, "off-key", TOKEN)
    gcp.client.disable_secret_version(name=f"{name}/versions/1")
    for key_id in ("empty-key", "off-key"):
        with pytest.raises(NotManaged, match="Adopt a key that has a value"):
            Operations(gcp.adapter, gcp.log).adopt(key_id, spec="token")
        assert gcp.sim.secrets[key_id].annotations == {}


def test_a_secret_that_ends_by_itself_is_not_adopted(gcp: GcpWorld) -> None:
    """Its owner has to decide first; the date is never changed by us."""
    plain(gcp, "their-token", TOKEN)
    gcp.sim.secrets["their-token"].expire_time = gcp.sim.now() + 30 * DAY
    with pytest.raises(ConfigError, match="the whole secret expires"):
        Operations(gcp.adapter, gcp.log).adopt("their-token", spec="token")


def test_a_tag_without_the_alias_is_reported(gcp: GcpWorld) -> None:
    """Nobody knows which version its readers use: the run says what to do, and touches nothing."""
    name = plain(gcp, "tagged-key", TOKEN)
    secret = {"name": name, "annotations": {"daena.managed": "true"}}
    gcp.client.update_secret(request={"secret": secret, "update_mask": {"paths": ["annotations"]}})
    summary = gcp.run(91 * DAY)
    assert summary.failed == ["tagged-key"]
    assert "no alias 'current'" in str(summary.errors["tagged-key"])
    assert len(gcp.sim.secrets["tagged-key"].versions) == 1


def test_aliases_and_labels_of_others_stay(gcp: GcpWorld) -> None:
    """A rotation moves its own two aliases and no other."""
    gcp.adapter.create_key("app-key")
    secret = gcp.sim.secrets["app-key"]
    secret.version_aliases["pinned"] = 1
    secret.labels["cost"] = "42"
    secret.touch()
    gcp.adapter.rotate_key("app-key")
    gcp.adapter.rotate_key("app-key")
    assert gcp.sim.secrets["app-key"].version_aliases == {"pinned": 1, "current": 3, "previous": 2}
    assert gcp.sim.secrets["app-key"].labels["cost"] == "42"


def test_one_odd_secret_does_not_stop_the_others(gcp: GcpWorld) -> None:
    """A key whose closer look fails is reported; the rest is rotated."""
    gcp.adapter.create_key("good-key")
    gcp.foreign("odd-key", TOKEN, {"daena.managed": "true"})
    gcp.sim.faults.deny("ListSecretVersions")
    summary = gcp.run(91 * DAY)
    assert (summary.rotated, summary.failed) == (["good-key"], ["odd-key"])


def test_a_version_that_is_to_be_destroyed_is_none_to_keep(gcp: GcpWorld) -> None:
    """With a delay of the secret's own it is disabled until then, and gone for us."""
    tags = {"daena.grace": "1d", "daena.destroy-after": "10d", "daena.rotate-after": "31d"}
    gcp.adapter.create_key("app-token", spec="token", tags=tags)
    for days in (31, 62, 64):
        gcp.run(days * DAY + HOUR)
    name = f"projects/{PROJECT}/secrets/app-token"
    delay = {"name": name, "version_destroy_ttl": 30 * DAY}
    gcp.client.update_secret(
        request={"secret": delay, "update_mask": {"paths": ["version_destroy_ttl"]}}
    )
    gcp.client.destroy_secret_version(name=f"{name}/versions/2")
    gcp.run(90 * DAY)
    states = {n: v.state.name for n, v in gcp.sim.secrets["app-token"].versions.items()}
    assert (states[1], states[3]) == ("DISABLED", "ENABLED")
    first = gcp.client.get_secret_version(name=f"{name}/versions/1")
    assert not first.scheduled_destroy_time


def test_an_alias_that_leads_to_a_retired_version_is_reported(gcp: GcpWorld) -> None:
    """Until that version is enabled, as the report says, or the key is rotated."""
    gcp.adapter.create_key("app-token", spec="token", tags={"daena.grace": "1d"})
    gcp.run(91 * DAY)
    assert gcp.run(93 * DAY).retired == ["app-token"]
    secret = gcp.sim.secrets["app-token"]
    secret.version_aliases["current"] = 1
    secret.touch()
    failed = gcp.run(94 * DAY)
    assert failed.failed == ["app-token"]
    assert "disabled" in str(failed.errors["app-token"])
    gcp.client.enable_secret_version(name=f"projects/{PROJECT}/secrets/app-token/versions/1")
    assert gcp.run(94 * DAY).failed == []


def test_regional_secrets() -> None:
    """With a location keys are made, read and rotated there, and are no global ones."""
    with GcpSimulator(location="europe-west1") as sim:
        client = sim.client(location="europe-west1")
        adapter = GCPSecretManagerAdapter(PROJECT, client=client, location="europe-west1")
        first = adapter.create_key("app-key")
        second = adapter.rotate_key("app-key")
        assert adapter.get_key("app-key") == second
        assert adapter.get_key("app-key", "previous") == first
        assert adapter.list_keys() == ["app-key"]
        assert "/locations/europe-west1/" in sim.secrets["app-key"].name


def test_an_enrolment_pins_the_newest_version(gcp: GcpWorld) -> None:
    """Its readers find ``current`` from then on; a newest version that is disabled stops it."""
    name = plain(gcp, "tagged-key", TOKEN)
    tags = {"daena.managed": "true", "daena.spec": "token"}
    secret = {"name": name, "annotations": tags}
    gcp.client.update_secret(request={"secret": secret, "update_mask": {"paths": ["annotations"]}})
    gcp.add("tagged-key", TOKEN)
    assert gcp.run().enrolled == ["tagged-key"]
    held = gcp.sim.secrets["tagged-key"]
    assert held.version_aliases == {"current": 2}
    assert held.labels["daena-managed"] == "true"
    assert "daena.first-due" in held.annotations
    other = plain(gcp, "other-key", TOKEN)
    secret = {"name": other, "annotations": tags}
    gcp.client.update_secret(request={"secret": secret, "update_mask": {"paths": ["annotations"]}})
    gcp.client.disable_secret_version(name=f"{other}/versions/1")
    summary = gcp.run(HOUR)
    assert (summary.failed, summary.enrolled) == (["other-key"], [])
    assert "current" not in gcp.sim.secrets["other-key"].version_aliases


def test_a_look_that_another_rotation_falls_into_is_taken_again(
    gcp: GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its two calls the alias moves on, and the version that it was on is disabled."""
    gcp.operations().create("app-key", spec="token")
    store: Any = gcp.adapter.store
    list_versions = store._secrets.list_versions

    def moved(key_id: str) -> object:
        monkeypatch.setattr(store._secrets, "list_versions", list_versions)
        summary = gcp.run(timedelta(hours=1), keys=[key_id], compromised=True, reason="leaked")
        assert summary.revoked == [key_id]
        return list_versions(key_id)

    monkeypatch.setattr(store._secrets, "list_versions", moved)
    key = store.describe("app-key", exact=True)
    assert key.current is not None
    assert key.current.id == "2"
