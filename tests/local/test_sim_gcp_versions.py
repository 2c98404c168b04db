"""Secret Manager's rules for versions and their values, through the official client."""

from datetime import timedelta

import pytest
from google.api_core.exceptions import FailedPrecondition, InvalidArgument, NotFound
from google.cloud.secretmanager_v1.types import SecretPayload, SecretVersion

from infra.local.gcp.crc32c import crc32c
from tests.local.gcp_calls import START, Gcp, gcp, name, numbered, refused, value

__all__ = ["gcp"]

State = SecretVersion.State


@pytest.fixture
def key(gcp: Gcp) -> str:
    """A secret with three versions."""
    gcp.create("key")
    for _ in range(3):
        gcp.add("key")
    return "key"


def states(gcp: Gcp, secret_id: str) -> dict[int, str]:
    """Return the states of a secret's versions, newest first."""
    listed = gcp.client.list_secret_versions(parent=name(secret_id))
    return {int(v.name.rpartition("/")[2]): v.state.name for v in listed}


@pytest.mark.parametrize(
    ("data", "checksum"), [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA)]
)
def test_the_checksum_is_crc32c(data: bytes, checksum: int) -> None:
    """Known answers: the check value of the algorithm, and RFC 3720, appendix B.4."""
    assert crc32c(data) == checksum


def test_versions_count_up_and_keep_their_values(gcp: Gcp) -> None:
    """Each has the next number, its own date and etag, and a value that never changes."""
    gcp.create("key")
    values = [value() for _ in range(3)]
    made = [gcp.add("key", data) for data in values]
    assert [version.name for version in made] == [numbered("key", n) for n in (1, 2, 3)]
    assert len({version.etag for version in made}) == 3
    assert {version.create_time for version in made} == {START}
    assert {version.state for version in made} == {State.ENABLED}
    assert [gcp.access("key", n) for n in (1, 2, 3)] == values


def test_a_payload_is_checked_on_the_way_in_and_out(gcp: Gcp) -> None:
    """A wrong checksum is refused; a right one is noted; the answer always has one."""
    gcp.create("key")
    data = value()

    def add(checksum: int | None) -> SecretVersion:
        payload = SecretPayload(data=data, data_crc32c=checksum)
        return gcp.client.add_secret_version(parent=name("key"), payload=payload)

    for wrong in (0, crc32c(data) ^ 1):
        with refused(InvalidArgument, "checksum"):
            add(wrong)
    assert add(crc32c(data)).client_specified_payload_checksum
    assert not add(None).client_specified_payload_checksum
    for number in (1, 2):
        answer = gcp.client.access_secret_version(name=name("key", number), retry=None)
        assert answer.payload.data_crc32c == crc32c(data)
        assert answer.name == numbered("key", number)
    assert gcp.sim.secrets["key"].versions[1].crc32c == crc32c(data)


def test_a_payload_has_up_to_64_kib(gcp: Gcp) -> None:
    """One byte more, or none at all, is refused, and no number is spent on it."""
    gcp.create("key")
    for bad in (b"", bytes(64 * 1024 + 1)):
        with refused(InvalidArgument):
            gcp.add("key", bad)
    assert gcp.add("key", bytes(64 * 1024)).name == numbered("key", 1)


def test_latest_is_the_newest_version_in_any_state(gcp: Gcp, key: str) -> None:
    """It moves on every add, at once, and a disabled or destroyed one is not passed over."""
    gcp.add(key, newest := value())
    assert gcp.access(key, "latest") == newest
    gcp.client.disable_secret_version(name=name(key, 4))
    with refused(FailedPrecondition, "is in DISABLED state"):
        gcp.access(key, "latest")
    gcp.client.destroy_secret_version(name=name(key, 4))
    with refused(FailedPrecondition, "is in DESTROYED state"):
        gcp.access(key, "latest")
    assert gcp.client.get_secret_version(name=name(key, "latest")).name == numbered(key, 4)


def test_an_alias_reads_its_version(gcp: Gcp, key: str) -> None:
    """Answers name the version by its number; an alias that is not there is not found."""
    gcp.update(key, version_aliases={"current": 2})
    assert gcp.access(key, "current") == gcp.access(key, 2)
    answer = gcp.client.access_secret_version(name=name(key, "current"), retry=None)
    assert answer.name == numbered(key, 2)
    assert gcp.client.get_secret_version(name=name(key, "current")).name == numbered(key, 2)
    for missing in ("previous", "4", "0"):
        with refused(NotFound):
            gcp.access(key, missing)


def test_a_disabled_version_is_unreadable_until_enabled(gcp: Gcp, key: str) -> None:
    """Its metadata can be read, its value can't; enabling gives the value back."""
    before = gcp.access(key, 1)
    gcp.client.disable_secret_version(name=name(key, 1))
    with refused(FailedPrecondition, f"[{numbered(key, 1)}] is in DISABLED state"):
        gcp.access(key, 1)
    assert gcp.client.get_secret_version(name=name(key, 1)).state == State.DISABLED
    gcp.client.enable_secret_version(name=name(key, 1))
    assert gcp.access(key, 1) == before


def test_a_destroyed_version_is_gone_for_good(gcp: Gcp, key: str) -> None:
    """Its value is erased and its state final; its number stays in the list and in use."""
    destroyed = gcp.client.destroy_secret_version(name=name(key, 3))
    assert (destroyed.state, destroyed.destroy_time) == (State.DESTROYED, START)
    assert gcp.sim.secrets[key].versions[3].data == b""
    with refused(FailedPrecondition, "DESTROYED"):
        gcp.access(key, 3)
    for change in ("enable", "disable", "destroy"):
        with refused(FailedPrecondition, "DESTROYED"):
            getattr(gcp.client, f"{change}_secret_version")(name=name(key, 3))
    assert gcp.add(key).name == numbered(key, 4)
    assert states(gcp, key) == {4: "ENABLED", 3: "DESTROYED", 2: "ENABLED", 1: "ENABLED"}


@pytest.mark.parametrize("change", ["disable", "enable", "destroy"])
def test_an_etag_guards_a_version(gcp: Gcp, key: str, change: str) -> None:
    """A version's own etag; also a change to the present state makes it stale."""
    call = getattr(gcp.client, f"{change}_secret_version")
    before = gcp.client.get_secret_version(name=name(key, 1)).etag
    after = gcp.client.enable_secret_version(request={"name": name(key, 1), "etag": before})
    assert after.etag != before
    for stale in (before, gcp.get(key).etag):
        with refused(FailedPrecondition, "etag"):
            call(request={"name": name(key, 1), "etag": stale})
    assert states(gcp, key)[1] == "ENABLED"
    call(request={"name": name(key, 1), "etag": after.etag})


@pytest.mark.parametrize("change", ["disable", "enable", "destroy"])
def test_a_change_of_state_names_a_number(gcp: Gcp, key: str, change: str) -> None:
    """Aliases and ``latest`` are for reading only."""
    gcp.update(key, version_aliases={"current": 3})
    call = getattr(gcp.client, f"{change}_secret_version")
    for alias in ("current", "latest"):
        with refused(InvalidArgument, "number"):
            call(name=name(key, alias))
    with refused(NotFound):
        call(name=name(key, 4))


def test_a_delayed_destruction_disables_first(gcp: Gcp, key: str) -> None:
    """The version is unreadable at once, recoverable until the time, and then destroyed."""
    gcp.update(key, version_destroy_ttl=timedelta(days=2))
    due = START + timedelta(days=2)
    scheduled = gcp.client.destroy_secret_version(name=name(key, 1))
    assert (scheduled.state, scheduled.scheduled_destroy_time) == (State.DISABLED, due)
    assert "destroy_time" not in scheduled
    with refused(FailedPrecondition, "DISABLED"):
        gcp.access(key, 1)
    gcp.sim.shift_clock(seconds=2 * 86400 - 1)
    assert states(gcp, key)[1] == "DISABLED"
    gcp.sim.shift_clock(seconds=1)
    destroyed = gcp.client.get_secret_version(name=name(key, 1))
    assert (destroyed.state, destroyed.destroy_time) == (State.DESTROYED, due)
    assert "scheduled_destroy_time" not in destroyed
    assert destroyed.etag != scheduled.etag


@pytest.mark.parametrize("change", ["disable", "enable"])
def test_a_scheduled_destruction_can_be_called_off(gcp: Gcp, key: str, change: str) -> None:
    """Enabling or disabling the version does that."""
    gcp.update(key, version_destroy_ttl=timedelta(days=1))
    gcp.client.destroy_secret_version(name=name(key, 1))
    kept = getattr(gcp.client, f"{change}_secret_version")(name=name(key, 1))
    assert "scheduled_destroy_time" not in kept
    gcp.sim.shift_clock(seconds=90_000)
    assert states(gcp, key)[1] == ("ENABLED" if change == "enable" else "DISABLED")


def test_versions_are_listed_newest_first_in_pages(gcp: Gcp, key: str) -> None:
    """Destroyed ones too, unless a filter asks for a state."""
    gcp.client.destroy_secret_version(name=name(key, 1))
    pages = gcp.client.list_secret_versions(request={"parent": name(key), "page_size": 2}).pages
    sizes = [(len(page.versions), page.total_size) for page in pages]
    assert sizes == [(2, 3), (1, 3)]
    assert list(states(gcp, key)) == [3, 2, 1]
    enabled = gcp.client.list_secret_versions(
        request={"parent": name(key), "filter": "state:ENABLED"}
    )
    assert [v.name for v in enabled] == [numbered(key, 3), numbered(key, 2)]
    with refused(NotFound):
        list(gcp.client.list_secret_versions(parent=name("other")))
