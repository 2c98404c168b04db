"""Cloud Storage as obstore, which the audit log uses, meets it: ours and fake-gcs-server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
)
from obstore.store import GCSStore

from infra.local.faults import only
from infra.local.gcp.sim import BUCKET, GcpSimulator
from tests.local.gcp_calls import START, Gcp, gcp

if TYPE_CHECKING:
    from obstore import UpdateVersion
    from obstore.store import GCSCredential

    from infra.local.gcp.fake_gcs_server import FakeGcs

__all__ = ["gcp"]

NAME = "log/2026/03/01/12/a b&c/000000.json"


def store(url: str, principal: str = "rotator", bucket: str = BUCKET) -> GCSStore:
    """Return an obstore client that does not retry; its token is the principal's name."""

    def credential() -> "GCSCredential":
        return {"token": principal, "expires_at": datetime.now(UTC) + timedelta(hours=1)}

    return GCSStore(
        bucket,
        base_url=url,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        credential_provider=credential,
    )


def names(found: GCSStore, prefix: str = "", offset: str | None = None) -> list[str]:
    """Return the names that a listing shows."""
    return [meta["path"] for batch in found.list(prefix, offset=offset) for meta in batch]


def plain(gcp: Gcp, method: str, authorization: str) -> int:
    """Make a request without obstore; returns the status."""
    connection = HTTPConnection(gcp.sim.url.removeprefix("http://"), timeout=10)
    connection.request(method, f"/{BUCKET}/x", headers={"Authorization": authorization})
    status = connection.getresponse().status
    connection.close()
    return status


@contextmanager
def _ours() -> Iterator[str]:
    with GcpSimulator() as sim:
        yield sim.url


@pytest.fixture(params=["ours", "fake-gcs-server"])
def bucket(request: pytest.FixtureRequest) -> Iterator[GCSStore]:
    """An empty bucket in either stand-in."""
    if request.param == "ours":
        with _ours() as url:
            yield store(url)
    else:
        server: FakeGcs = request.getfixturevalue("local_gcs")
        made = store(server.xml_url)
        yield made
        made.delete(names(made))


def test_what_was_put_is_read_and_listed(bucket: GCSStore) -> None:
    """An object has its bytes, size and date; what is not there is not found, or empty."""
    assert names(bucket) == []
    with pytest.raises(FileNotFoundError):
        bucket.get(NAME)
    bucket.put(NAME, b"one", mode="create")
    assert bytes(bucket.get(NAME).bytes()) == b"one"
    meta = bucket.head(NAME)
    assert (meta["path"], meta["size"]) == (NAME, 3)
    assert abs(meta["last_modified"] - datetime.now(UTC)) < timedelta(minutes=1)
    bucket.put("log/2025/x.json", b"", mode="create")
    assert names(bucket) == ["log/2025/x.json", NAME]
    assert names(bucket, "log/2026") == [NAME]
    assert names(bucket, "log", offset="log/2025/x.json") == [NAME]
    listed = bucket.list_with_delimiter("log")
    assert listed["common_prefixes"] == ["log/2025", "log/2026"]
    assert listed["objects"] == []


def test_create_if_absent_keeps_what_is_there(bucket: GCSStore) -> None:
    """A second create is told that the object exists."""
    bucket.put(NAME, b"one", mode="create")
    with pytest.raises(AlreadyExistsError):
        bucket.put(NAME, b"two", mode="create")
    assert bytes(bucket.get(NAME).bytes()) == b"one"


def test_create_if_absent_has_one_winner(bucket: GCSStore) -> None:
    """Of twenty that create one object at once, one does, and its content stays."""
    together = Barrier(20)

    def create(number: int) -> bool:
        together.wait()
        try:
            bucket.put(NAME, str(number).encode(), mode="create")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(create, range(20)))
    assert won.count(True) == 1
    assert bytes(bucket.get(NAME).bytes()) == str(won.index(True)).encode()


def test_more_objects_than_a_page_holds_are_listed(gcp: Gcp) -> None:
    """A listing goes on over the service's pages of a thousand, of objects and of folders."""
    for number in range(1001):
        gcp.sim.storage.store(BUCKET, f"log/{number:06}/x.json", b"")
    made = store(gcp.sim.url)
    assert len(names(made, "log")) == 1001
    assert len(made.list_with_delimiter("log")["common_prefixes"]) == 1001
    assert gcp.sim.calls.counts() == {"ListObjects": 4}


def test_dates_come_from_the_simulated_clock(gcp: Gcp) -> None:
    """Both in a listing and of one object."""
    made = store(gcp.sim.url)
    made.put(NAME, b"")
    (meta,) = [meta for batch in made.list() for meta in batch]
    assert meta["last_modified"] == made.head(NAME)["last_modified"] == START


def test_calls_are_recorded_without_bodies(gcp: Gcp) -> None:
    """With operation, bucket, name, condition, the token's principal and the outcome."""
    made = store(gcp.sim.url, "auditor")
    made.put(NAME, b"a-body", mode="create")
    made.get(NAME).bytes()
    names(made, "log")
    with pytest.raises(AlreadyExistsError):
        made.put(NAME, b"a-body", mode="create")
    with pytest.raises(FileNotFoundError):
        made.get("other")
    calls = list(gcp.sim.calls)
    assert [(c.service, c.operation, c.outcome) for c in calls] == [
        ("storage", "InsertObject", "ok"),
        ("storage", "GetObject", "ok"),
        ("storage", "ListObjects", "ok"),
        ("storage", "InsertObject", "PreconditionFailed"),
        ("storage", "GetObject", "NoSuchKey"),
    ]
    assert calls[0].params == {"bucket": BUCKET, "object": NAME, "ifGenerationMatch": "0"}
    assert {call.principal for call in calls} == {"auditor"}
    assert "a-body" not in repr(calls) + repr(gcp.sim.storage.buckets)


def test_a_principal_has_the_permissions_of_its_role(gcp: Gcp) -> None:
    """Creating, reading and listing are permissions of their own."""
    gcp.sim.storage.store(BUCKET, NAME, b"")
    for permission, allowed in (("create", "put"), ("get", "get"), ("list", "names")):
        gcp.sim.roles["auditor"] = {f"storage.objects.{permission}"}
        made = store(gcp.sim.url, "auditor")
        done = []
        for word, call in (
            ("put", lambda s: s.put("new", b"", mode="create")),
            ("get", lambda s: s.get(NAME).bytes()),
            ("names", names),
        ):
            try:
                call(made)
            except (PermissionDeniedError, GenericError):
                assert list(gcp.sim.calls)[-1].outcome == "AccessDenied"
            else:
                done.append(word)
        assert done == [allowed]


def test_nobody_deletes_or_overwrites_what_is_retained(gcp: Gcp) -> None:
    """Whatever their role; in a bucket without retention it takes storage.objects.delete."""
    made = store(gcp.sim.url)
    made.put(NAME, b"one")
    for call in (lambda: made.put(NAME, b"two"), lambda: made.delete(NAME)):
        with pytest.raises(PermissionDeniedError, match="RetentionPolicyNotMet"):
            call()
    gcp.sim.storage.retained.clear()
    gcp.sim.roles["creator"] = {"storage.objects.create"}
    creator = store(gcp.sim.url, "creator")
    for call in (lambda: creator.put(NAME, b"two"), lambda: creator.delete(NAME)):
        with pytest.raises(PermissionDeniedError, match=r"storage\.objects\.delete"):
            call()
    made.put(NAME, b"two")
    assert bytes(made.get(NAME).bytes()) == b"two"
    made.delete(NAME)
    assert names(made) == []


def test_an_update_needs_the_generation_that_was_read(gcp: Gcp) -> None:
    """Another one fails the condition."""
    gcp.sim.storage.retained.clear()
    made = store(gcp.sim.url)
    first = made.put(NAME, b"one")
    read: UpdateVersion = {"e_tag": first["e_tag"], "version": first["version"]}
    made.put(NAME, b"two", mode=read)
    with pytest.raises(PreconditionError):
        made.put(NAME, b"three", mode=read)


def test_a_creator_may_be_denied_what_exists(gcp: Gcp) -> None:
    """Which comes first, condition or permission, is not documented: a test can have both."""
    gcp.sim.roles["creator"] = {"storage.objects.create"}
    creator = store(gcp.sim.url, "creator")
    creator.put(NAME, b"one", mode="create")
    with pytest.raises(AlreadyExistsError):
        creator.put(NAME, b"one", mode="create")
    gcp.sim.storage.permission_first = True
    with pytest.raises(PermissionDeniedError, match=r"storage\.objects\.delete"):
        creator.put(NAME, b"one", mode="create")


def test_who_shows_no_token_is_refused(gcp: Gcp) -> None:
    """A request without a bearer token is answered 401 and recorded as nobody's."""
    assert plain(gcp, "GET", "") == 401
    (call,) = gcp.sim.calls
    assert (call.principal, call.outcome) == ("", "AuthenticationRequired")


def test_a_bucket_that_is_not_there_is_not_found(gcp: Gcp) -> None:
    """For writes and listings alike; what is not modelled says so."""
    made = store(gcp.sim.url, bucket="another")
    with pytest.raises(FileNotFoundError, match="NoSuchBucket"):
        made.put(NAME, b"", mode="create")
    with pytest.raises(GenericError, match="NoSuchBucket"):
        names(made)
    assert plain(gcp, "POST", "Bearer rotator") == 501


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_write_whose_answer_is_lost_has_happened(gcp: Gcp, how: str) -> None:
    """Faults hit storage like Secret Manager; one that retries meets its own object."""
    gcp.sim.faults.fail_after(how=how, when=only("storage", "InsertObject"))
    made = store(gcp.sim.url)
    with pytest.raises(GenericError):
        made.put(NAME, b"one", mode="create")
    assert gcp.sim.storage.buckets[BUCKET][NAME].body == b"one"
    with pytest.raises(AlreadyExistsError):
        made.put(NAME, b"one", mode="create")
    gcp.sim.faults.fail_before(how=how)
    with pytest.raises(GenericError):
        made.put("other", b"one", mode="create")
    assert names(made) == [NAME]


def test_storage_can_be_throttled_and_denied(gcp: Gcp) -> None:
    """429 while the throttling lasts, 403 while the denial does."""
    made = store(gcp.sim.url)
    gcp.sim.faults.throttle(1)
    with pytest.raises(GenericError, match="429"):
        made.put(NAME, b"", mode="create")
    gcp.sim.faults.deny("InsertObject")
    with pytest.raises(PermissionDeniedError, match=r"storage\.objects\.create"):
        made.put(NAME, b"", mode="create")
    gcp.sim.faults.allow("InsertObject")
    made.put(NAME, b"", mode="create")
