"""Enrolling a key that is in the store already: never a rotation, never one we could only break."""

import json
import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import ConfigError, DaenaKMSError, NotManaged
from daena_kms.operations import Operations
from daena_kms.rules.adoption import check_adoptable, first_due
from daena_kms.rules.model import Key
from daena_kms.rules.policy import FIRST_DUE, MANAGED, SPEC
from daena_kms.stores.local.store import LocalStore
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import DAY, HOUR, NOW, SECOND
from tests.unit.local_keys import fingerprint, local, reading
from tests.worlds.memory import MemoryObjects

INTERVAL = 90 * DAY
IDS = [f"key-{number}" for number in range(1000)]


@pytest.fixture
def adapter(tmp_path: Path) -> LocalAdapter:
    """An adapter over an empty store."""
    return local(tmp_path / "home")


@pytest.fixture
def log() -> MemoryObjects:
    """An empty log."""
    return MemoryObjects()


def foreign(adapter: LocalAdapter, key_id: str, value: str, age: timedelta = INTERVAL) -> str:
    """Put a key into the store as somebody else would, and return its value's fingerprint."""
    adapter.store.create(key_id, value, {"team": "x"}, NOW - age)
    return fingerprint(value)


def adopt(
    adapter: LocalAdapter, log: MemoryObjects, as_spec: str = "token", /, **tags: str
) -> Operations:
    """Adopt the key ``k`` at NOW, with further tags named by underscores."""
    ops = Operations(adapter, log, now=NOW, principal="alice")
    named = {"daena." + name.replace("_", "-"): value for name, value in tags.items()}
    ops.adopt("k", spec=as_spec, tags=named)
    return ops


def test_adopting_changes_tags_alone(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """The value, the versions and the tags of others stay; the log confirms every version."""
    first = foreign(adapter, "k", secrets.token_urlsafe(30), 900 * DAY)
    before = adapter.store.describe("k").versions
    ops = Operations(adapter, log, now=NOW, principal="alice")
    due = ops.adopt("k", spec="token", tags={"daena.grace": "2d"})
    key = adapter.store.describe("k")
    assert key.versions == before
    assert reading(adapter, "k") == first
    assert key.tags == {
        "team": "x",
        MANAGED: "true",
        SPEC: "token",
        "daena.grace": "2d",
        FIRST_DUE: due.isoformat().replace("+00:00", "Z"),
    }
    (row,) = log.results()
    assert (row["kind"], row["result"], row["versions"]) == ("adopt", "done", [before[0].id])
    assert row["base"] == before[0].id
    assert verify(log, adapter.store.scan()).ok


def test_an_adopted_key_is_not_rotated_at_once(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """A key that is years old is first rotated at its first-due, and by its interval from then."""
    foreign(adapter, "k", secrets.token_urlsafe(30), 900 * DAY)
    ops = Operations(adapter, log, now=NOW, principal="alice")
    due = ops.adopt("k", spec="token")
    assert NOW + HOUR - SECOND <= due <= NOW + INTERVAL
    for moment in (NOW, due - SECOND):
        assert run(adapter, log, now=moment).counts() == {
            **run(adapter, log, now=moment).counts(),
            "rotated": 0,
            "finished": 0,
            "failed": 0,
            "keys": 1,
        }
    assert run(adapter, log, now=due).rotated == ["k"]
    assert run(adapter, log, now=due + INTERVAL - HOUR).rotated == []
    assert run(adapter, log, now=due + INTERVAL + HOUR).rotated == ["k"]


def test_a_given_time_is_kept(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """With first-due among the tags there is no jitter."""
    foreign(adapter, "k", secrets.token_urlsafe(30))
    adopt(adapter, log, first_due="2027-01-02T03:04:05Z")
    assert adapter.store.describe("k").tags[FIRST_DUE] == "2027-01-02T03:04:05Z"


def test_adopting_always_enrols(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """A tag that is given cannot turn the adoption, or its spec, into something else."""
    foreign(adapter, "k", secrets.token_urlsafe(30))
    adopt(adapter, log, managed="false", spec="password")
    tags = adapter.store.describe("k").tags
    assert (tags[MANAGED], tags[SPEC]) == ("true", "token")


@given(st.sampled_from(IDS), st.integers(1, 24 * 3650))
def test_the_first_time_lies_within_the_interval(key_id: str, hours: int) -> None:
    """Between an hour and the whole interval from now, the same at each call."""
    interval = timedelta(hours=hours)
    due = first_due(key_id, NOW, interval)
    assert due == first_due(key_id, NOW, interval)
    assert NOW + HOUR - SECOND < due <= NOW + interval
    assert due.microsecond == 0


def test_the_first_times_are_spread() -> None:
    """Of a thousand keys no day of ninety gets many, and each tenth of the interval its part."""
    offsets = [first_due(key_id, NOW, INTERVAL) - NOW for key_id in IDS]
    by_day = [sum(o // DAY == day for o in offsets) for day in range(90)]
    assert max(by_day) < 30
    by_tenth = [sum(o // (INTERVAL / 10) == tenth for o in offsets) for tenth in range(10)]
    assert min(by_tenth) > 60
    assert len(set(offsets)) > 990


PREFIXES = [
    *("ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "sk_live_", "sk_test_", "rk_live_"),
    *("AKIA", "ASIA", "AIza", "ya29.", "SG.", "npm_", "pypi-", "sk-proj-", "sk-ant-", "hf_"),
    *("dop_v1_", "shpat_"),
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_a_third_party_issued_is_refused(
    adapter: LocalAdapter, log: MemoryObjects, prefix: str
) -> None:
    """Only its issuer can make one that works; the key stays as it is, and the log empty."""
    foreign(adapter, "k", prefix + secrets.token_hex(16))
    before = adapter.store.describe("k")
    with pytest.raises(ConfigError) as refused:
        adopt(adapter, log, "password")
    assert (
        refused.value.what
        == "its value was issued by a third party, and only the issuer can make a new one"
    )
    assert (refused.value.key_id, refused.value.todo) == ("k", "Have its issuer rotate it")
    assert adapter.store.describe("k") == before
    assert log.stored == {}


def test_a_signed_token_and_a_certificate_are_third_partys() -> None:
    """A JSON web token and a certificate are recognised by how they begin."""
    for text in ("eyJ" + secrets.token_hex(9) + ".eyJx.y", "-----BEGIN " + "CERTIFICATE-----\nx"):
        with pytest.raises(ConfigError, match="issued by a third party"):
            check_adoptable(text, "k")


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"user": "u", "password": "p"}),
        json.dumps(["a", "b"]),
        " \n{}",
        "{broken json",
        "[" * 20_000,
        '{"a":' * 4_000,
    ],
)
def test_json_is_refused(adapter: LocalAdapter, log: MemoryObjects, value: str) -> None:
    """A value of several parts, well-formed or not, however deep, is not replaced whole."""
    foreign(adapter, "k", value)
    with pytest.raises(ConfigError, match=r"^key 'k': its value is JSON, and a rotation"):
        adopt(adapter, log, "password")
    assert log.stored == {}


@pytest.mark.parametrize("value", ["123456789012", "true-or-false", '"quoted words"', "null"])
def test_a_scalar_is_no_json(value: str) -> None:
    """Text that happens to be a number, a word or a quoted string is a password like another."""
    check_adoptable(value, "k")


@pytest.mark.parametrize("spec", ["aes-256", "hmac-512", "ed25519", "token"])
def test_a_value_of_another_spec_is_refused(
    adapter: LocalAdapter, log: MemoryObjects, spec: str
) -> None:
    """The next value would have a form that its consumers do not know."""
    foreign(adapter, "k", f"{secrets.token_hex(8)} {secrets.token_hex(8)}")
    with pytest.raises(
        ConfigError, match=rf"^key 'k': the given value does not fit the spec '{spec}'"
    ):
        adopt(adapter, log, spec)
    assert log.stored == {}
    adopt(adapter, log, "password")


def test_a_key_is_adopted_once(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """A managed key, and a deleted one, are refused with what to do."""
    foreign(adapter, "k", secrets.token_urlsafe(30))
    adopt(adapter, log)
    written = dict(log.stored)
    with pytest.raises(NotManaged, match=r"^key 'k': it is already managed\. Change its tags"):
        adopt(adapter, log)
    adapter.store.delete(adapter.store.describe("k"), NOW)
    with pytest.raises(NotManaged, match=r"^key 'k': it is deleted\. Adopt"):
        adopt(adapter, log)
    assert log.stored == written


class Owned(LocalStore):
    """A store in which another rotation owns every key."""

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the key with its owner."""
        return replace(super().describe(key_id, exact=exact), owner="The other rotation")


def test_a_key_that_another_rotation_owns_is_refused(
    adapter: LocalAdapter, log: MemoryObjects, tmp_path: Path
) -> None:
    """Two rotations of one key would break each other: the other one has to be switched off."""
    foreign(adapter, "k", secrets.token_urlsafe(30))
    adapter.store = Owned(tmp_path / "home")
    with pytest.raises(NotManaged, match=r"^key 'k': The other rotation rotates it\. Switch that"):
        adopt(adapter, log)
    assert log.stored == {}


@pytest.mark.parametrize(
    ("spec", "tags", "message"),
    [
        ("", {}, r"^daena\.spec is '', which is not a key spec"),
        ("aes", {}, r"^daena\.spec is 'aes', which is not a key spec"),
        ("token", {"grace": "1h"}, r"^daena\.grace is 1h"),
        (
            "token",
            {"first_due": "soon"},
            r"^daena\.first-due is 'soon', which is not a time in UTC",
        ),
        ("aes-256", {"destroy_after": "30d"}, "versions would be destroyed inside their grace"),
        ("token", {"colour": "red"}, r"^'daena\.colour' is not a tag of daena-kms"),
    ],
)
def test_a_bad_policy_is_refused_before_any_call(
    adapter: LocalAdapter, log: MemoryObjects, spec: str, tags: dict[str, str], message: str
) -> None:
    """Spec and tags are checked first: the key need not even exist."""
    with pytest.raises(DaenaKMSError, match=message):
        adopt(adapter, log, spec, **tags)
    assert log.stored == {}
