"""What is particular to Key Vault: tags that belong to versions, claims, answers in doubt."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.errors import ConfigError, KeyExists, RotationConflict
from daena_kms.operations import Operations
from daena_kms.settings import Settings
from daena_kms.stores.azure.look import Looker

from infra.local.azure.blob import ACCOUNT
from infra.local.faults import only
from tests.worlds.azure import AzureWorld, azure_adapter
from tests.worlds.base import DAY, value
from tests.worlds.kinds import open_world

KEY = "app-key"
MANAGED = {"daena.managed": "true", "daena.spec": "token"}
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[AzureWorld]:
    """Give an empty vault."""
    with open_world("azure", tmp_path, wire=True) as opened:
        assert isinstance(opened, AzureWorld)
        yield opened


def test_a_new_version_takes_over_what_is_its_owner_s(azure: AzureWorld) -> None:
    """Tags of anybody's, the content type, and for how long a version lives."""
    now = azure.sim.now()
    made = int((now + 400 * DAY).timestamp())
    azure.client.set_secret(
        KEY,
        value(),
        tags={**MANAGED, "team": "blue"},
        content_type="text/x-key",
        expires_on=datetime.fromtimestamp(made, now.tzinfo),
    )
    assert azure.run(keys=[KEY]).enrolled == [KEY]
    assert azure.run(keys=[KEY]).rotated == [KEY]
    newest = azure.sim.secrets.version(KEY)
    assert newest.tags.items() >= {**MANAGED, "team": "blue"}.items()
    assert newest.content_type == "text/x-key"
    assert newest.exp is not None
    assert abs(newest.exp - made) < 60


def test_names_are_case_insensitive(azure: AzureWorld) -> None:
    """A secret in any case is the key of that name in lower case, once."""
    azure.client.set_secret("App-Key", value(), tags=MANAGED)
    assert azure.adapter.list_keys() == [KEY]
    assert azure.run().enrolled == [KEY]
    assert azure.run(91 * DAY).rotated == [KEY]
    assert len(azure.sim.secrets.versions(KEY)) == 2


def test_a_hold_set_while_the_vault_throttles_is_kept(
    azure: AzureWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that has to wait looks again before it is tried again."""
    azure.adapter.create_key(KEY)
    tags = dict(azure.sim.secrets.version(KEY).tags)

    def held(_seconds: float) -> None:
        azure.client.update_secret_properties(KEY, tags={**tags, "daena.hold": "true"})

    setter = vars(azure.adapter.store)["_setter"]
    monkeypatch.setattr(setter, "_sleep", held)
    azure.sim.faults.throttle(1, when=only("keyvault", "SetSecret"))
    summary = azure.run(keys=[KEY])
    assert (summary.rotated, summary.skipped) == ([], [KEY])
    assert len(azure.sim.secrets.versions(KEY)) == 1
    assert azure.sim.secrets.version(KEY).tags["daena.hold"] == "true"


def test_a_lost_answer_and_then_somebody_else_s_value(
    azure: AzureWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that the log names is ours, also where another has the same tag, copied."""
    Operations(azure.adapter, azure.log).create(KEY)
    azure.sim.faults.fail_after(1, when=only("keyvault", "SetSecret"))
    find_named = Looker.find_named

    def meddled(self: Looker, key_id: str, name: str) -> str | None:
        azure.overwrite(KEY, value())
        return find_named(self, key_id, name)

    monkeypatch.setattr(Looker, "find_named", meddled)
    summary = azure.run(keys=[KEY])
    assert summary.new_versions == {KEY: azure.sim.secrets.versions(KEY)[1].id}
    report = verify(azure.log, azure.adapter.store.inventory())
    found = {f.version: f.status for f in report.findings}
    assert [found[v.id] for v in azure.sim.secrets.versions(KEY)] == [
        *("confirmed", "confirmed", "out-of-band"),
    ]


def test_a_set_in_doubt_that_nobody_may_look_for_is_unknown(azure: AzureWorld) -> None:
    """The run says so, counts the key as overdue, and a later run finds out."""
    Operations(azure.adapter, azure.log).create(KEY)
    azure.sim.faults.fail_after(1, when=only("keyvault", "SetSecret"))
    azure.sim.faults.deny("GetSecretVersions")
    first = azure.run(91 * DAY)
    assert (first.failed, first.overdue) == ([KEY], 1)
    azure.sim.faults.clear()
    later = azure.run(91 * DAY + HALF_AN_HOUR)
    assert (later.failed, later.rotated) == ([], [])
    report = verify(azure.log, azure.adapter.store.inventory())
    assert {f.status for f in report.findings} == {"confirmed"}


def test_a_key_that_is_held_by_another_is_overdue_still(azure: AzureWorld) -> None:
    """A claim that somebody left is no success: the count says that the key waits."""
    Operations(azure.adapter, azure.log).create(KEY)
    azure.sim.faults.fail_before(1, when=only("keyvault", "SetSecret"))
    assert azure.run(91 * DAY).failed == [KEY]
    again = azure.run(91 * DAY)
    assert (again.skipped, again.failed, again.overdue) == ([KEY], [], 1)
    assert azure.run(91 * DAY + HALF_AN_HOUR).finished == [KEY]


def test_a_steady_key_costs_no_closer_look(azure: AzureWorld) -> None:
    """Adopted, or rotated and retired: planning is the listing alone."""
    operations = Operations(azure.adapter, azure.log)
    azure.foreign("their-token", "x" * 43)
    operations.adopt("their-token", spec="token")
    operations.create("our-token", spec="token")
    assert azure.run(91 * DAY, keys=["our-token"]).rotated == ["our-token"]
    assert azure.run(99 * DAY, keys=["our-token"], if_due=True).retired == ["our-token"]
    azure.sim.calls.clear()
    azure.run(60 * DAY, dry_run=True)
    assert [c.operation for c in azure.sim.calls if c.service == "keyvault"] == ["GetSecrets"]


def test_what_a_retirement_costs_its_run(azure: AzureWorld) -> None:
    """The listing, a look to plan and one right before, and two changes with a look before each.

    The versions' list shows which one is the newest, so no look reads the value but the last one.
    """
    azure.operations().create("our-token", spec="token")
    assert azure.run(91 * DAY).rotated == ["our-token"]
    azure.sim.calls.clear()
    assert azure.run(99 * DAY).retired == ["our-token"]
    assert azure.store_calls() == [
        *("GetSecrets", "GetSecretVersions", "GetSecretVersions"),
        *("UpdateSecret", "GetSecret", "UpdateSecret"),
    ]


def test_a_retired_version_is_read_only_after_it_is_enabled_again(azure: AzureWorld) -> None:
    """Disabling is undone by its owner, in the vault."""
    first = azure.adapter.create_key(KEY, spec="token")
    azure.run(91 * DAY)
    azure.run(99 * DAY)
    old = azure.sim.secrets.versions(KEY)[0]
    assert (old.enabled, "daena-retired" in old.tags) == (False, True)
    azure.client.update_secret_properties(KEY, old.id, enabled=True)
    assert azure.adapter.get_key(KEY, old.id) == first


def test_a_disabled_newest_version_is_reported_and_left(azure: AzureWorld) -> None:
    """A new one would be enabled; on hold it is only held."""
    azure.client.set_secret(KEY, value(), tags=MANAGED, enabled=False)
    summary = azure.run(91 * DAY)
    assert summary.failed == [KEY]
    assert "disabled" in str(summary.errors[KEY])
    azure.client.update_secret_properties(KEY, tags={**MANAGED, "daena.hold": "true"})
    assert azure.run(91 * DAY).held == [KEY]
    assert len(azure.sim.secrets.versions(KEY)) == 1


def test_a_vault_that_keeps_nothing_deletes_nothing(azure: AzureWorld) -> None:
    """Without soft delete a deletion could not be undone."""
    azure.sim.configure(soft_delete=False)
    azure.adapter.create_key(KEY)
    with pytest.raises(ConfigError, match="soft delete"):
        azure.adapter.delete_key(KEY)
    assert azure.adapter.get_key(KEY)


def test_a_deleted_name_is_reported_with_what_to_do(azure: AzureWorld) -> None:
    """Also one that somebody else deleted; creating right after creating is refused, too."""
    azure.foreign(KEY, value())
    azure.client.begin_delete_secret(KEY, _polling_interval=0).wait()
    with pytest.raises(KeyExists, match=r"it exists already, deleted but recoverable. Restore it"):
        azure.adapter.create_key(KEY)


def test_a_key_that_was_enrolled_before_is_enrolled_again(azure: AzureWorld) -> None:
    """Its version keeps its name in the log, and a steady key costs no closer look."""
    operations = Operations(azure.adapter, azure.log)
    operations.create("our-token", spec="token")
    name = azure.sim.secrets.version("our-token").tags["daena-version"]
    azure.tag("our-token", managed="false")
    operations.adopt("our-token", spec="token")
    assert azure.sim.secrets.version("our-token").tags["daena-version"] == name
    azure.sim.calls.clear()
    azure.run(60 * DAY, dry_run=True)
    assert [c.operation for c in azure.sim.calls if c.service == "keyvault"] == ["GetSecrets"]


def test_retirements_come_before_looks_that_show_nothing(azure: AzureWorld) -> None:
    """Of keys that need a closer look, those that we rotated come first, whatever their names."""
    for number in range(3):
        azure.client.set_secret(f"by-hand-{number}", "x" * 43, tags=MANAGED)
    azure.adapter.create_key("zz-token", spec="token")
    azure.run(1 * DAY, keys=["zz-token"])
    azure.sim.calls.clear()
    # One after the other: of looks side by side, any may come to the vault first.
    assert azure.run(20 * DAY, workers=1).retired == ["zz-token"]
    looks = [c.params.get("name") for c in azure.sim.calls if c.operation == "GetSecretVersions"]
    assert looks[0] == "zz-token"


def test_tags_that_would_be_too_many_are_refused_at_once(azure: AzureWorld) -> None:
    """Adopting counts what the first rotation will add."""
    azure.foreign(KEY, "x" * 43, {f"own-{number}": "x" for number in range(11)})
    with pytest.raises(ConfigError, match="would have 16 tags"):
        Operations(azure.adapter, azure.log).adopt(KEY, spec="token")
    assert "daena.managed" not in azure.sim.secrets.version(KEY).tags


def test_a_value_set_by_hand_without_tags_is_noted(azure: AzureWorld) -> None:
    """The key is in no plan any more; verify says that the log knows it."""
    Operations(azure.adapter, azure.log).create(KEY)
    azure.client.set_secret(KEY, value())
    report = verify(azure.log, azure.adapter.store.inventory())
    assert any(KEY in note and "without its tags" in note for note in report.notes)


def test_claims_are_shared_by_all_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment only a container is taken; the default is beside the audit log."""
    monkeypatch.setenv("DAENA_KMS_CLAIMS_URL", "file:///tmp/claims")
    with pytest.raises(ConfigError, match="which is not in Blob Storage"):
        _ = Settings.load().claims_url
    monkeypatch.setenv("DAENA_KMS_CLAIMS_URL", "")
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", f"az://{ACCOUNT}/audit/prefix")
    assert Settings.load().claims_url == f"az://{ACCOUNT}/claims"
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", "file:///tmp/audit")
    with pytest.raises(ConfigError, match="no place for claims"):
        _ = Settings.load().claims_url


def test_versions_expire_when_due_where_that_is_asked_for(
    azure: AzureWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off by default; with it the vault's own dates follow the policy."""
    azure.adapter.create_key("plain-key")
    assert azure.sim.secrets.version("plain-key").exp is None
    monkeypatch.setenv("DAENA_KMS_EXPIRE", "true")
    dated = azure_adapter(azure.sim)
    dated.create_key(KEY, tags={"daena.rotate-after": "30d"})
    dated.rotate_key(KEY)
    for version in azure.sim.secrets.versions(KEY):
        assert version.exp is not None
        assert abs(version.exp - version.created.timestamp() - (30 * DAY).total_seconds()) < 60
    assert isinstance(dated, AzureKeyVaultAdapter)
    assert azure.run(29 * DAY).rotated == []
    assert azure.run(30 * DAY + HALF_AN_HOUR).rotated == [KEY]


def test_a_rollback_looks_again_after_the_log_was_written(
    azure: AzureWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold that was set meanwhile stands, and so does another version."""
    azure.adapter.create_key(KEY)
    azure.adapter.rotate_key(KEY)

    def meddled(name: str, data: bytes) -> None:
        azure.tag(KEY, hold="true")
        monkeypatch.undo()
        azure.log.put_new(name, data)

    monkeypatch.setattr(azure.log, "put_new", meddled)
    with pytest.raises(RotationConflict, match="on hold"):
        Operations(azure.adapter, azure.log).rollback(KEY)
    assert len(azure.sim.secrets.versions(KEY)) == 2


def test_a_content_type_that_names_a_structure_is_not_enrolled(azure: AzureWorld) -> None:
    """The value is not read, but its owner says what it is; adopting reads it and decides."""
    azure.foreign(KEY, value(), MANAGED, age=400 * DAY, content_type="application/json")
    summary = azure.run()
    assert (summary.failed, summary.enrolled) == ([KEY], [])
    assert "its content type is 'application/json'" in str(summary.errors[KEY])
    assert f"daena-kms adopt {KEY} --spec" in str(summary.errors[KEY])
    Operations(azure.adapter, azure.log).adopt(KEY, spec="token")
    assert azure.run().actions == []


def test_an_apply_that_sets_a_value_with_the_policys_tags_alone(azure: AzureWorld) -> None:
    """The older version of ours shows that the key is enrolled: it is rotated when it is due."""
    azure.adapter.create_key(KEY, spec="token")
    azure.client.set_secret(KEY, value(), tags=MANAGED)
    assert azure.run().actions == []
    summary = azure.run(91 * DAY)
    assert (summary.enrolled, summary.rotated) == ([], [KEY])
