"""The simulated Secret Manager answers as the real one was seen to: each test names its source.

*measured* is github.com/kmoneil/zig-gcp: what production answered its author on 2 October 2026, in
``docs/secret-manager`` (README, updating, notifications, encryption) and, by the words of the
refusals, in ``src/secret_manager/fake_secrets.zig``. *c7n* are the recordings of cloud-custodian in
``tools/c7n_gcp/tests/data/flights``, *kcc* the logs ``_http.log`` of k8s-config-connector below
``pkg/test/resourcefixture/testdata/basic/secretmanager`` and ``tests/e2e``. *docs* are pages below
cloud.google.com/secret-manager.
"""

import re
from datetime import timedelta

import pytest
from google.api_core.exceptions import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from google.cloud.secretmanager_v1.types import SecretVersion

from infra.local.gcp.sim import PROJECT, GcpSimulator
from tests.local.gcp_calls import (
    AUTOMATIC,
    HERE,
    START,
    Gcp,
    create,
    gcp,
    name,
    numbered,
    refused,
    value,
)

__all__ = ["gcp"]

State = SecretVersion.State
DAY = timedelta(days=1)
KMS_KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/k"


@pytest.fixture
def key(gcp: Gcp) -> str:
    """A secret with two versions, whose destruction takes a day."""
    gcp.create("key", version_destroy_ttl=DAY)
    for _ in range(2):
        gcp.add("key")
    return "key"


def switch(gcp: Gcp, verb: str, number: object = 1, etag: str = "") -> SecretVersion:
    """Enable, disable or destroy a version of the key."""
    request = {"name": name("key", number), "etag": etag}
    changed: SecretVersion = getattr(gcp.client, f"{verb}_secret_version")(request=request)
    return changed


def test_an_etag_is_quoted_and_a_time(gcp: Gcp) -> None:
    """Quotes (docs: etags). Between them 14 digits: 2^52 and microseconds (c7n: gcp-secret-query).

    ``"15c77bb9373513"`` is the etag of a secret whose ``createTime`` is 15:38:05.861139, and that
    nobody has changed.
    """
    recorded = 0x15C77BB9373513 - (1 << 52)
    assert recorded % 60_000_000 == 5_861_139
    etags = [gcp.create("key").etag, gcp.add("key").etag, gcp.update("key", labels={}).etag]
    assert all(re.fullmatch(r'"1[0-9a-f]{13}"', etag) for etag in etags)
    assert etags == sorted(set(etags))


@pytest.mark.parametrize("etag", ["", "mine"])
def test_an_etag_is_optional(gcp: Gcp, key: str, etag: str) -> None:
    """Without one nothing is compared; one that does not match is refused (docs: etags).

    FAILED_PRECONDITION, in words that were measured.
    """
    mine = gcp.get(key).etag if etag else ""
    gcp.update(key, etag=mine, labels={"a": "1"})
    with refused(FailedPrecondition, "does not match the resource's current etag"):
        gcp.update(key, etag=mine or '"0"', labels={})


def test_the_etag_is_judged_first(gcp: Gcp, key: str) -> None:
    """Before the mask and the fields, and after whether there is such a secret (measured)."""
    with refused(FailedPrecondition, "etag"):
        gcp.update(key, etag='"0"', labels={"A": ""})
    with refused(NotFound):
        gcp.update("other", etag='"0"', labels={})


def test_what_moves_a_secrets_etag(gcp: Gcp, key: str) -> None:
    """An update that changes nothing; no change of its versions (docs: etags; measured)."""
    made = gcp.get(key).etag
    gcp.add(key)
    switch(gcp, "disable")
    switch(gcp, "enable")
    switch(gcp, "destroy")
    assert gcp.get(key).etag == made
    assert gcp.update(key, labels={}).etag != made


@pytest.mark.parametrize("period", [None, timedelta(hours=1)])
def test_a_due_rotation_notice_moves_the_etag(gcp: Gcp, period: timedelta | None) -> None:
    """The secret shows the next time then, or no rotation where it has no period (measured)."""
    rotation = {"next_rotation_time": START + timedelta(minutes=5), "rotation_period": period}
    topics = [{"name": "projects/p/topics/t"}]
    made = gcp.create("key", topics=topics, rotation=rotation)
    gcp.sim.shift_clock(seconds=300)
    after = gcp.get("key")
    assert after.etag != made.etag
    assert ("rotation" in after) is (period is not None)
    with refused(FailedPrecondition, "etag"):
        gcp.update("key", etag=made.etag, labels={})


def test_a_versions_etag_moves_by_itself(gcp: Gcp, key: str) -> None:
    """Apart from the secret's, and on a change to the state that it is in as well (measured)."""
    first = gcp.client.get_secret_version(name=name(key, 1)).etag
    gcp.update(key, labels={"a": "1"})
    second = switch(gcp, "enable", etag=first).etag
    assert second != first
    for verb in ("enable", "disable", "destroy"):
        with refused(FailedPrecondition, "etag"):
            switch(gcp, verb, etag=first)


def test_the_map_of_aliases_is_replaced_whole(gcp: Gcp, key: str) -> None:
    """What is left out is gone (kcc: secretmanagerversionalias; measured)."""
    gcp.update(key, version_aliases={"a": 1, "b": 2})
    assert dict(gcp.update(key, version_aliases={"b": 1}).version_aliases) == {"b": 1}
    with refused(NotFound, f"Secret [{numbered(key)}] has no alias [a]"):
        gcp.access(key, "a")


def test_what_an_alias_may_lead_to(gcp: Gcp, key: str) -> None:
    """Versions that exist, disabled and destroyed ones too, by the words of the live refusal.

    (Measured. kcc's ``mockgcp/mocksecretmanager`` has the same words.) A version that is destroyed
    later keeps its alias.
    """
    gcp.update(key, version_destroy_ttl=timedelta(), version_aliases={"old": 1})
    switch(gcp, "destroy")
    switch(gcp, "disable", 2)
    after = gcp.update(key, version_aliases={"old": 1, "older": 1, "off": 2})
    assert dict(after.version_aliases) == {"old": 1, "older": 1, "off": 2}
    for alias, state in (("older", "DESTROYED"), ("off", "DISABLED")):
        with refused(FailedPrecondition, f"is in {state} state."):
            gcp.access(key, alias)
    with refused(InvalidArgument, "Aliases cannot be assigned to versions that don't exist"):
        gcp.update(key, version_aliases={"next": 3})


@pytest.mark.parametrize("alias", ["latest", "NEW"])
def test_two_words_are_no_aliases(gcp: Gcp, key: str, alias: str) -> None:
    """Exactly these; case counts (measured)."""
    gcp.update(key, version_aliases={alias.swapcase(): 1})
    with refused(InvalidArgument, "alias"):
        gcp.update(key, version_aliases={alias: 1})


def test_there_are_fifty_aliases(gcp: Gcp, key: str) -> None:
    """Docs: quotas; measured."""
    gcp.update(key, version_aliases={f"a{n}": 1 for n in range(50)})
    with refused(InvalidArgument, "50"):
        gcp.update(key, version_aliases={f"a{n}": 1 for n in range(51)})


def test_annotations_have_16384_bytes(gcp: Gcp, key: str) -> None:
    """Keys and values together, counted in bytes; the last of them is taken (measured)."""
    gcp.update(key, annotations={"a": "ä" * (8 * 1024 - 1), "b": ""})
    with refused(InvalidArgument, "16kib"):
        gcp.update(key, annotations={"a": "ä" * (8 * 1024 - 1), "b": "", "c": ""})


def test_a_destruction_that_is_delayed(gcp: Gcp, key: str) -> None:
    """The version is disabled until then (docs: delay-destruction-of-secret-versions).

    A second destroy is FAILED_PRECONDITION; without the delay later ones are at once, and what was
    scheduled keeps its time (measured).
    """
    due = switch(gcp, "destroy").scheduled_destroy_time
    assert due == START + DAY
    with refused(FailedPrecondition, "SecretVersion is already scheduled for DESTRUCTION."):
        switch(gcp, "destroy")
    with refused(FailedPrecondition, "is in DISABLED state."):
        gcp.access(key, 1)
    gcp.update(key, version_destroy_ttl=timedelta())
    assert gcp.client.get_secret_version(name=name(key, 1)).scheduled_destroy_time == due
    assert switch(gcp, "destroy", 2).state == State.DESTROYED
    gcp.sim.shift_clock(seconds=DAY.total_seconds())
    assert gcp.client.get_secret_version(name=name(key, 1)).state == State.DESTROYED


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_a_switch_cancels_a_destruction(gcp: Gcp, key: str, verb: str) -> None:
    """Also one to the state that it is in (docs: delay-destruction; measured)."""
    switch(gcp, "destroy")
    kept = switch(gcp, verb)
    assert "scheduled_destroy_time" not in kept
    assert kept.state.name == f"{verb.upper()}D"
    gcp.sim.shift_clock(seconds=2 * DAY.total_seconds())
    assert gcp.client.get_secret_version(name=name(key, 1)).state == kept.state


@pytest.mark.parametrize("verb", ["enable", "disable", "destroy"])
def test_a_destroyed_version_stays_so(gcp: Gcp, key: str, verb: str) -> None:
    """FAILED_PRECONDITION to all three (measured)."""
    gcp.update(key, version_destroy_ttl=timedelta())
    switch(gcp, "destroy")
    with refused(FailedPrecondition, "SecretVersion.state is already DESTROYED"):
        switch(gcp, verb)


@pytest.mark.usefixtures("key")
def test_a_switch_can_be_repeated(gcp: Gcp) -> None:
    """Disabling a disabled version is answered like disabling an enabled one (measured)."""
    states = [switch(gcp, verb).state for verb in ("disable", "disable", "enable", "enable")]
    assert states == [State.DISABLED] * 2 + [State.ENABLED] * 2
    with refused(InvalidArgument):
        switch(gcp, "disable", "latest")


def test_a_switch_reaches_readers_late(gcp: Gcp, key: str) -> None:
    """A version disabled moments before is served until that has reached them (measured)."""
    gcp.sim.freeze_states()
    switch(gcp, "disable")
    assert gcp.access(key, 1)
    assert gcp.client.get_secret_version(name=name(key, 1)).state == State.DISABLED
    gcp.sim.unfreeze_states()
    with refused(FailedPrecondition, "is in DISABLED state."):
        gcp.access(key, 1)


def test_a_kms_key_that_cannot_be_used(gcp: Gcp) -> None:
    """FAILED_PRECONDITION to reading and adding, as to a version that is disabled (measured)."""
    encrypted = {"automatic": {"customer_managed_encryption": {"kms_key_name": KMS_KEY}}}
    gcp.create("key", replication=encrypted)
    gcp.add("key")
    gcp.sim.secrets.unusable_kms_keys.add(KMS_KEY)
    with refused(FailedPrecondition):
        gcp.access("key", 1)
    with refused(FailedPrecondition):
        gcp.add("key")
    assert gcp.client.get_secret_version(name=name("key", 1)).state == State.ENABLED
    gcp.sim.secrets.unusable_kms_keys.clear()
    gcp.access("key", 1)


def test_a_secret_lives_for_a_minute_at_least(gcp: Gcp) -> None:
    """Measured."""
    gcp.create("key", ttl=timedelta(minutes=1))
    with refused(InvalidArgument, "1 minute"):
        gcp.create("short", ttl=timedelta(seconds=59))


def test_regional_secrets_are_apart() -> None:
    """At an address of their own, without a replication (docs: regional-secrets; measured)."""
    with GcpSimulator(location="europe-west3") as sim:
        here = f"projects/{PROJECT}/locations/europe-west3"
        client = sim.client(wire=False)
        with refused(InvalidArgument, "replication"):
            create(client, here, "key", replication={"automatic": {}})
        assert "replication" not in create(client, here, "key")
        with refused(InvalidArgument, "endpoint"):
            client.get_secret(name=name("key"))


def test_the_quota_of_one_secret(gcp: Gcp, key: str) -> None:
    """Two additions and updates a second (docs: quotas); others go on."""
    gcp.sim.enforce_quotas()
    gcp.add(key)
    gcp.update(key, labels={})
    for write in (lambda: gcp.add(key), lambda: gcp.update(key, labels={})):
        with refused(ResourceExhausted):
            write()
    gcp.create("other")
    gcp.add("other")
    switch(gcp, "disable")
    gcp.stopwatch[0] += 1
    gcp.update(key, labels={})
    gcp.sim.enforce_quotas(enforced=False)
    for _ in range(3):
        gcp.add(key)


def test_the_quota_of_one_version(gcp: Gcp, key: str) -> None:
    """One switch a second, whatever it is (docs: quotas)."""
    gcp.sim.enforce_quotas()
    switch(gcp, "disable")
    with refused(ResourceExhausted):
        switch(gcp, "enable")
    with refused(ResourceExhausted):
        switch(gcp, "destroy")
    switch(gcp, "disable", 2)
    gcp.stopwatch[0] += 1
    switch(gcp, "enable")
    assert gcp.access(key, 1)


def test_the_quotas_of_a_project(gcp: Gcp) -> None:
    """600 writes and 600 reads a minute, each for itself, and 90,000 accesses (docs: quotas)."""
    client = gcp.sim.client(wire=False)
    create(client, HERE, "key", replication=AUTOMATIC)
    client.add_secret_version(
        request={"parent": name("key"), "payload": {"data": value()}}, retry=None
    )
    gcp.sim.enforce_quotas()
    for _ in range(600):
        client.get_secret(name=name("key"))
    with refused(ResourceExhausted):
        client.get_secret(name=name("key"))
    with refused(ResourceExhausted):
        list(client.list_secrets(parent=HERE))
    client.access_secret_version(name=name("key", 1), retry=None)
    for number in range(600):
        create(client, HERE, f"a{number}", replication=AUTOMATIC)
    with refused(ResourceExhausted):
        create(client, HERE, "one-more", replication=AUTOMATIC)
    gcp.stopwatch[0] += 60
    client.get_secret(name=name("key"))


def test_the_quotas_of_a_location() -> None:
    """80 additions and updates a second for a secret, 50 switches for a version (docs: quotas)."""
    with GcpSimulator(location="europe-west3", monotonic=lambda: 0.0) as sim:
        client = sim.client(wire=False)
        made = create(client, f"projects/{PROJECT}/locations/europe-west3", "key")
        sim.enforce_quotas()
        for _ in range(80):
            client.add_secret_version(request={"parent": made.name, "payload": {"data": value()}})
        with refused(ResourceExhausted):
            client.add_secret_version(request={"parent": made.name, "payload": {"data": value()}})
        for _ in range(50):
            client.disable_secret_version(name=f"{made.name}/versions/1")
        with refused(ResourceExhausted):
            client.disable_secret_version(name=f"{made.name}/versions/1")
