"""Keys in Key Vault beside rotation: disabled, deleted, full, expiring or of odd dates."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.errors import ConfigError, KeyExists, KeyNotFound, RotationConflict
from daena_kms.rules.model import Key
from daena_kms.rules.names import new_version_id
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.sdk.azure.client import Vault
from daena_kms.sdk.azure.login import Login
from daena_kms.stores.azure.look import OPEN, RETIRED, look_of, same
from daena_kms.stores.azure.order import NAME
from daena_kms.stores.azure.set import MAX_TAGS
from daena_kms.stores.azure.store import AzureStore
from daena_kms.stores.base import Staged

from infra.local.azure.sim import AzureSimulator
from tests.unit.keys import DAY, DEFAULTS, MINUTE
from tests.worlds.azure import azure_adapter
from tests.worlds.base import value

TAGS = {"daena.managed": "true", "daena.spec": "token", "daena.grace": "1d"}
KEY = "some-key"


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """An empty vault, and a place for claims."""
    with AzureSimulator() as simulator:
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", simulator.blob_url)
        yield simulator


@pytest.fixture
def adapter(sim: AzureSimulator) -> AzureKeyVaultAdapter:
    """An adapter on it."""
    return azure_adapter(sim)


@pytest.fixture
def store(adapter: AzureKeyVaultAdapter) -> AzureStore:
    """The driver beneath."""
    assert isinstance(adapter.store, AzureStore)
    return adapter.store


def planned(store: AzureStore, key: Key, now: datetime) -> list[tuple[Kind, str]]:
    """Return what is planned for a key, and why."""
    return [(a.kind, a.reason) for a in plan_key(key, DEFAULTS, store.can, now)]


def test_a_disabled_newest_version_of_the_same_second(
    sim: AzureSimulator, store: AzureStore
) -> None:
    """The older one, although it was changed later, is not taken for the current one."""
    now = sim.now()
    for enabled, updated in ((True, now + MINUTE), (False, now)):
        sim.secrets.add_version(
            KEY, value(), tags=TAGS, enabled=enabled, created=now, updated=updated
        )
    key = store.describe(KEY)
    assert key.current is None
    assert key.trouble == "its newest version is disabled"
    ((kind, reason),) = planned(store, key, now)
    assert kind is Kind.FAILING
    assert "its newest version is disabled" in reason
    with pytest.raises(KeyNotFound):
        store.stage(key, value(), now)


def test_a_disabled_key_that_is_deleted_meanwhile(sim: AzureSimulator, store: AzureStore) -> None:
    """It is deleted, not broken."""
    sim.secrets.add_version(KEY, value(), tags=TAGS, enabled=False)
    sim.freeze_reads()
    sim.secrets.delete(sim.secrets.secret(KEY))
    sim.secrets.settle()
    frozen = sim.secrets.reading.frozen_reads
    assert frozen is not None
    inner = store._looker._list_versions

    def versions(key_id: str) -> list[object]:
        sim.unfreeze_reads()
        return inner(key_id)  # type: ignore[return-value]  # passed on

    store._looker._list_versions = versions  # type: ignore[method-assign,assignment] # for this test
    assert store.describe(KEY).deleted is not None


@pytest.mark.parametrize("soft_delete", [True, False])
def test_a_vault_with_or_without_soft_delete(
    sim: AzureSimulator,
    adapter: AzureKeyVaultAdapter,
    soft_delete: bool,
) -> None:
    """Keys are made and missed in both; without it none is deleted, for it would be gone."""
    sim.configure(soft_delete=soft_delete)
    with pytest.raises(KeyNotFound, match="no such key"):
        adapter.store.describe(KEY)
    with pytest.raises(KeyNotFound, match="no such key"):
        adapter.get_key(KEY)
    made = adapter.create_key(KEY)
    assert adapter.get_key(KEY) == made
    if soft_delete:
        adapter.delete_key(KEY)
        with pytest.raises(KeyNotFound, match=r"it is deleted\. Restore it first"):
            adapter.get_key(KEY)
        return
    with pytest.raises(ConfigError, match="soft delete switched off"):
        adapter.delete_key(KEY)
    assert adapter.get_key(KEY) == made


def test_a_version_that_expires_at_the_end_of_time(
    sim: AzureSimulator, adapter: AzureKeyVaultAdapter
) -> None:
    """Such a date is common, and the next version gets one that can be reckoned with."""
    never = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
    tags = {**TAGS, NAME: new_version_id(None, sim.now())}
    sim.secrets.add_version(KEY, value(), tags=tags, exp=never, content_type="text/plain")
    adapter.rotate_key(KEY)
    made = sim.secrets.version(KEY)
    assert made.exp is not None
    assert datetime.fromtimestamp(made.exp, UTC) - sim.now() > 36_000 * DAY
    assert made.content_type == "text/plain"


def test_a_date_that_is_none(sim: AzureSimulator, store: AzureStore) -> None:
    """One secret dated in milliseconds keeps nobody from listing the others."""
    sim.secrets.add_version("broken", value(), tags=TAGS, exp=10**12)
    sim.secrets.add_version(KEY, value(), tags=TAGS)
    assert [key.id for key in store.scan()] == ["broken", KEY]
    for key in store.inventory():
        assert key.current is not None
        assert key.current.expires is None


def test_retiring_where_there_is_no_room_for_notes(sim: AzureSimulator, store: AzureStore) -> None:
    """A version with fifteen tags is disabled all the same; its last change says when."""
    now = sim.now()
    ours = TAGS | {NAME: new_version_id(None, now - 90 * DAY)}
    full = ours | {f"theirs-{n}": "x" for n in range(MAX_TAGS - len(ours))}
    for age in (90 * DAY, 50 * DAY, 20 * DAY):
        sim.secrets.add_version(KEY, value(), tags=full, created=now - age, updated=now - age)
    first, _, newest = sim.secrets.versions(KEY)
    store.retire(store.describe(KEY, exact=True), first.id, now)
    assert [v.enabled for v in sim.secrets.versions(KEY)] == [False, True, True]
    assert [dict(v.tags) for v in sim.secrets.versions(KEY)] == [full] * 3
    key = store.describe(KEY, exact=True)
    retired = key.version(first.id)
    assert retired is not None
    assert retired.retired is not None
    assert now - retired.retired < MINUTE
    assert [kind for kind, _ in planned(store, key, now)] == [Kind.RETIRE]
    with pytest.raises(ConfigError, match="newest version can't be retired"):
        store.retire(key, newest.id, now)


def test_retiring_notes_what_is_left(sim: AzureSimulator, store: AzureStore) -> None:
    """When the next is to be retired stands on the newest version; other tags stay."""
    now = sim.now()
    for age in (90 * DAY, 50 * DAY, 20 * DAY):
        sim.secrets.add_version(
            KEY, value(), tags=TAGS | {"team": "a"}, created=now - age, updated=now - age
        )
    first, second, newest = sim.secrets.versions(KEY)
    store.retire(store.describe(KEY, exact=True), first.id, now)
    assert RETIRED in sim.secrets.version(KEY, first.id).tags
    noted = sim.secrets.version(KEY, newest.id).tags[OPEN]
    assert datetime.fromisoformat(noted) == newest.created.replace(microsecond=0)
    store.retire(store.describe(KEY, exact=True), second.id, now)
    (listed,) = store.scan()
    assert listed.older_since is None
    assert sim.secrets.version(KEY, newest.id).tags["team"] == "a"


def test_retiring_keeps_a_tag_that_was_changed_meanwhile(
    sim: AzureSimulator, store: AzureStore
) -> None:
    """The note is added to the newest version's tags as they are, not as the run saw them."""
    now = sim.now()
    for age in (90 * DAY, 20 * DAY):
        sim.secrets.add_version(KEY, value(), tags=TAGS, created=now - age, updated=now - age)
    seen, old = store.describe(KEY, exact=True), sim.secrets.versions(KEY)[0]
    store.tag(store.describe(KEY), {"daena.hold": "true"})
    store.retire(seen, old.id, now)
    tags = sim.secrets.version(KEY).tags
    assert (tags["daena.hold"], OPEN in tags) == ("true", True)


def test_a_look_that_is_no_longer_true(sim: AzureSimulator, store: AzureStore) -> None:
    """Two looks at the same version are the same, whatever was listed besides."""
    sim.secrets.add_version(KEY, value(), tags=TAGS)
    one, other = store.describe(KEY), store.describe(KEY, exact=True)
    assert same(look_of(one), look_of(other))
    store.tag(one, {"daena.keep": "3"})
    assert not same(look_of(one), look_of(store.describe(KEY)))


def test_a_claim_on_a_base_that_was_rotated_after_all(
    sim: AzureSimulator, adapter: AzureKeyVaultAdapter, store: AzureStore
) -> None:
    """Who takes a dead claim over looks first: of one base comes one version."""
    adapter.create_key(KEY)
    stale = store.describe(KEY)
    adapter.rotate_key(KEY)
    sim.shift_clock(seconds=16 * 60)
    with pytest.raises(RotationConflict, match="an earlier rotation was completed"):
        store.stage(stale, value(), sim.now())
    assert len(sim.secrets.versions(KEY)) == 2
    assert all(NAME in version.tags for version in sim.secrets.versions(KEY))


@pytest.mark.parametrize("ahead", [timedelta(days=-400), timedelta(), timedelta(days=400)])
def test_a_clock_that_is_wrong_takes_no_claim_over(
    sim: AzureSimulator, adapter: AzureKeyVaultAdapter, store: AzureStore, ahead: timedelta
) -> None:
    """Whether a claim is over is judged by the container's clock, not by the rotation's."""
    adapter.create_key(KEY)
    stale = store.describe(KEY)
    adapter.rotate_key(KEY)
    with pytest.raises(RotationConflict, match="another rotation has claimed it"):
        store.stage(stale, value(), sim.now() + ahead)


def test_a_claim_is_given_back_when_its_base_was_rotated_after_all(
    sim: AzureSimulator, adapter: AzureKeyVaultAdapter, store: AzureStore
) -> None:
    """Nothing was set under it, so nobody has to wait for its end."""
    adapter.create_key(KEY)
    stale = store.describe(KEY)
    adapter.rotate_key(KEY)
    sim.shift_clock(seconds=16 * 60)
    with pytest.raises(RotationConflict):
        store.stage(stale, value(), sim.now())
    base = look_of(stale).version
    claims = [name for name in sim.blobs.containers["claims"] if f"/{base}/" in name]
    assert [name.rpartition("/")[2] for name in sorted(claims)] == ["0", "1", "1.free"]


def test_a_secret_of_others_is_not_created_again(
    sim: AzureSimulator, adapter: AzureKeyVaultAdapter
) -> None:
    """No claim tells of it: a look does, and the claim is given back."""
    sim.secrets.add_version(KEY, value(), tags={})
    with pytest.raises(KeyExists, match="it exists already"):
        adapter.create_key(KEY)
    assert len(sim.secrets.versions(KEY)) == 1
    claims = sorted(sim.blobs.containers["claims"])
    assert [name.rpartition("/")[2] for name in claims] == ["0", "0.free"]


@pytest.mark.parametrize("version", ["", "latest", "A" * 32, "g" * 32, "0" * 31, "0" * 32 + "\n"])
def test_what_is_no_version_id(store: AzureStore, version: str) -> None:
    """It is refused before any call."""
    with pytest.raises(ConfigError, match="not a version id of Key Vault"):
        store.check_version_id(version)
    assert store.check_version_id("0123456789abcdef" * 2)


def test_what_was_not_begun_here(sim: AzureSimulator, store: AzureStore) -> None:
    """It is a mistake of the caller's; and one version can't be destroyed in a vault."""
    sim.secrets.add_version(KEY, value(), tags=TAGS)
    key = store.describe(KEY)
    with pytest.raises(TypeError, match="not begun by this store"):
        store.promote(key, Staged("", "", sim.now(), value()), sim.now())
    with pytest.raises(ConfigError, match="can't destroy a single version"):
        store.destroy(key, "x", sim.now())


def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch, sim: AzureSimulator) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "azure.keyvault.secrets", None)
    used = Vault(sim.vault_url, Login({}, credential=sim.credential()))
    with pytest.raises(ConfigError, match=r"pip install 'daena-kms\[azure\]'"):
        used.call(KEY, lambda client: client.get_secret(KEY))
