"""The simulated Blob Storage: create-if-absent, reads, listings and permissions, by obstore."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
)
from obstore.store import AzureStore

from infra.local.azure.sim import AzureSimulator
from tests.local.azure_wire import BLOCK, blobs, code, to_blobs
from tests.local.conftest import START

ODD = "log/a b/ü%2F+&'<.json"


@pytest.fixture
def audit(azure: AzureSimulator) -> AzureStore:
    """The container of the log, for its owner."""
    return blobs(azure)


def test_a_blob_is_created_only_if_absent(azure: AzureSimulator, audit: AzureStore) -> None:
    """The second creator gets 409 and changes nothing."""
    audit.put("log/1", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        audit.put("log/1", b"second", mode="create")
    assert azure.blobs.containers["audit"]["log/1"].body == b"first"
    headers = BLOCK | {"If-None-Match": "*"}
    answer = to_blobs(azure, "PUT", "/audit/log/1", "third", headers)
    assert (answer.status, code(answer)) == (409, "BlobAlreadyExists")
    assert [call.outcome for call in azure.calls] == ["ok", *["BlobAlreadyExists"] * 2]


def test_twenty_creators_make_one_blob(azure: AzureSimulator, audit: AzureStore) -> None:
    """State changes one call at a time, also when all twenty have arrived before one is served."""
    arrived = threading.Barrier(20)
    azure.pause = lambda _: arrived.wait()
    azure.set_latency(1)

    def create(number: int) -> bool:
        try:
            audit.put("claim", str(number).encode(), mode="create")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(create, range(20)))
    assert sum(won) == 1
    assert azure.blobs.containers["audit"]["claim"].body == str(won.index(True)).encode()


def test_a_blob_is_overwritten_without_a_condition(
    azure: AzureSimulator, audit: AzureStore
) -> None:
    """And gets another etag."""
    first = audit.put("log/1", b"first")
    second = audit.put("log/1", b"second")
    assert first["e_tag"] != second["e_tag"]
    assert azure.blobs.containers["audit"]["log/1"].body == b"second"


def test_a_blob_is_overwritten_only_if_unchanged(audit: AzureStore) -> None:
    """An etag that is not the newest's, or for a blob that is not there, is not met."""
    first = audit.put("log/1", b"first")
    audit.put("log/1", b"second", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        audit.put("log/1", b"third", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        audit.put("log/2", b"third", mode={"e_tag": first["e_tag"]})
    assert audit.get("log/1").bytes() == b"second"


def test_a_blob_is_read_whole_in_part_and_not_at_all(
    azure: AzureSimulator, audit: AzureStore
) -> None:
    """Get, a range, and head, with size, date and etag."""
    made = audit.put(ODD, b"0123456789")
    assert audit.get(ODD).bytes() == b"0123456789"
    assert audit.get_range(ODD, start=2, end=5) == b"234"
    assert audit.get(ODD, options={"range": {"offset": 7}}).bytes() == b"789"
    found = audit.head(ODD)
    assert (found["size"], found["last_modified"], found["e_tag"]) == (10, START, made["e_tag"])
    assert azure.calls.operations() == ["PutBlob", "GetBlob", "GetBlob", "GetBlob", "HeadBlob"]
    assert list(azure.calls)[1].params == {"container": "audit", "name": ODD}


def test_a_read_may_have_conditions(azure: AzureSimulator, audit: AzureStore) -> None:
    """Unchanged is 304, changed is 412, beyond the end is 416."""
    etag = audit.put("log/1", b"first")["e_tag"] or ""
    for header, tag, status in (
        ("If-None-Match", etag, 304),
        ("If-None-Match", '"other"', 200),
        ("If-Match", etag, 200),
        ("If-Match", '"other"', 412),
        ("Range", "bytes=9-", 416),
        ("x-ms-range", "bytes=4-9", 206),
        ("Range", "bytes=-3", 400),
        ("If-Modified-Since", "Sun, 01 Mar 2026 12:00:00 GMT", 400),
    ):
        assert to_blobs(azure, "GET", "/audit/log/1", headers={header: tag}).status == status


def test_a_missing_blob_and_a_missing_container_differ(azure: AzureSimulator) -> None:
    """Both are 404, with codes of their own; nothing makes a container by itself."""
    for container, expected in (("audit", "BlobNotFound"), ("other", "ContainerNotFound")):
        for method in ("GET", "HEAD", "DELETE"):
            answer = to_blobs(azure, method, f"/{container}/log/1")
            assert (answer.status, code(answer)) == (404, expected)
    answer = to_blobs(azure, "PUT", "/other/log/1", "text", BLOCK)
    assert (answer.status, code(answer)) == (404, "ContainerNotFound")
    with pytest.raises(FileNotFoundError):
        blobs(azure, "other").get("log/1")
    # obstore has no error of its own for this.
    with pytest.raises(GenericError, match="ContainerNotFound"):
        list(blobs(azure, "other").list())
    azure.blobs.create("other")
    blobs(azure, "other").put("log/1", b"text")
    with pytest.raises(ValueError, match="No-Container"):
        azure.blobs.create("No-Container")


def test_blobs_are_listed_in_order(audit: AzureStore) -> None:
    """Below a prefix, or with what is further below it folded."""
    names = ["a", "log/1", "log/2/x", "log/2/y", "log/3", "logs", "z"]
    for name in reversed(names):
        audit.put(name, name.encode())
    assert [found["path"] for page in audit.list() for found in page] == names
    found = audit.list_with_delimiter("log")
    assert [folder.rstrip("/") for folder in found["common_prefixes"]] == ["log/2"]
    assert [blob["path"] for blob in found["objects"]] == ["log/1", "log/3"]
    assert [blob["size"] for blob in found["objects"]] == [5, 5]
    after = audit.list(offset="log/2/x")
    assert [blob["path"] for page in after for blob in page] == names[3:]


def test_odd_names_survive_a_listing(audit: AzureStore) -> None:
    """Spaces, signs and letters of other alphabets are names like others."""
    audit.put(ODD, b"text")
    assert [found["path"] for page in audit.list() for found in page] == [ODD]
    assert audit.list_with_delimiter("log")["common_prefixes"] == ["log/a b"]


@pytest.mark.parametrize(("delimiter", "pages"), [("", 4), ("/", 3)], ids=["names", "folders"])
def test_a_listing_has_pages(
    azure: AzureSimulator, audit: AzureStore, delimiter: str, pages: int
) -> None:
    """A marker leads to the next, also where a folder ends the page; the last has none."""
    for name in ("a/1", "a/2", "b", "c/1", "c/2", "d", "e"):
        audit.put(name, b"")
    marker, found = "", list[str]()
    for number in range(pages):
        query = f"restype=container&comp=list&maxresults=2&delimiter={delimiter}&marker={marker}"
        text = to_blobs(azure, "GET", f"/audit?{query}").body.decode()
        found += [part.partition("<")[0] for part in text.split("<Name>")[1:]]
        marker = text.partition("<NextMarker>")[2].partition("<")[0]
        assert bool(marker) == (number < pages - 1)
    names = (
        ["a/", "b", "c/", "d", "e"] if delimiter else ["a/1", "a/2", "b", "c/1", "c/2", "d", "e"]
    )
    assert found == names


@pytest.mark.parametrize(
    "query",
    [
        "comp=list",
        "restype=container&comp=list&maxresults=0",
        "restype=container&comp=list&maxresults=x",
        "restype=container&comp=list&marker=ä",
        "restype=container&comp=list&include=metadata",
        "restype=container&comp=metadata",
        "",
    ],
)
def test_other_listings_are_refused(azure: AzureSimulator, query: str) -> None:
    """What is not modelled is an error and not ignored."""
    assert to_blobs(azure, "GET", f"/audit?{query.replace('ä', '%C3%A4')}").status == 400


def test_blobs_are_deleted(azure: AzureSimulator, audit: AzureStore) -> None:
    """One, or several in a request, which obstore always makes of it."""
    for name in ("a", "b", ODD):
        audit.put(name, b"")
    audit.delete("a")
    audit.delete(["b", ODD])
    assert azure.blobs.containers["audit"] == {}
    assert [c.params["names"] for c in azure.calls if c.operation == "DeleteBlob"] == [
        ["a"],
        ["b", ODD],
    ]
    audit.put("c", b"")
    assert to_blobs(azure, "DELETE", "/audit/c").status == 202
    assert azure.blobs.containers["audit"] == {}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed; boundary=b", "--b\r\n\r\nPUT /x HTTP/1.1\r\n\r\n\r\n--b--"),
        ("multipart/mixed; boundary=b", "nothing"),
        ("multipart/mixed", ""),
        ("multipart/mixed; boundary=b", "--b\r\n\r\nDELETE /x HTTP/1.1\r\n" * 257 + "--b--"),
    ],
    ids=["no deletion", "no parts", "no boundary", "too many"],
)
def test_a_batch_of_anything_else_is_refused(azure: AzureSimulator, kind: str, body: str) -> None:
    """A batch holds up to 256 deletions."""
    path = "/audit?restype=container&comp=batch"
    assert to_blobs(azure, "POST", path, body, {"Content-Type": kind}).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ms-blob-type": "PageBlob"},
        BLOCK | {"Content-MD5": "c2ln"},
        BLOCK | {"x-ms-version": ""},
    ],
    ids=["no type", "type", "checksum", "no version"],
)
def test_a_put_needs_its_headers(azure: AzureSimulator, headers: dict[str, str]) -> None:
    """The blob's type and the protocol's version; a checksum that is given must be right."""
    answer = to_blobs(azure, "PUT", "/audit/x", "text", headers)
    assert answer.status == 400
    assert azure.blobs.containers["audit"] == {}


def test_refusals_have_the_services_form(azure: AzureSimulator, audit: AzureStore) -> None:
    """Denied, throttled and failed, as Blob Storage words it."""
    azure.faults.deny("GetBlob")
    azure.faults.throttle(1, retry_after=3)
    azure.faults.fail_before(1, how="error")
    answer = to_blobs(azure, "GET", "/audit/x")
    assert (answer.status, code(answer)) == (503, "ServerBusy")
    assert answer.headers["retry-after"] == "3"
    azure.faults.fail_before(1, how="error")
    answer = to_blobs(azure, "GET", "/audit/x")
    assert (answer.status, code(answer)) == (500, "InternalError")
    with pytest.raises(PermissionDeniedError):
        audit.get("x")


def test_another_account_is_not_here(azure: AzureSimulator) -> None:
    """An address without the account, or with a part of a blob's that is not modelled."""
    assert to_blobs(azure, "GET", "/audit/x?comp=metadata").status == 400
    assert to_blobs(azure, "GET", "/audit/x", account="other").status == 400
    assert to_blobs(azure, "PUT", f"/audit/{'a' * 1025}", "", BLOCK).status == 400
