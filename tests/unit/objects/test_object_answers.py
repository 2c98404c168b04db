"""An answer that is no listing never reads as an empty log, nor a page as an object."""

from collections.abc import Callable

import pytest
from daena_kms.audit.bounds import BoundedLog, ReadBudget
from daena_kms.audit.reader import read_tail
from daena_kms.audit.verify import verify
from daena_kms.errors import AuditUnavailable, StoreUnavailable
from daena_kms.objects.base import AUDIT, CLAIMS, Entry, Objects
from daena_kms.stores.azure.claims import Claims

from tests.unit.objects.scripted import (
    PAGE,
    Open,
    Reply,
    Script,
    listing,
    refusal,
    scripted,
)
from tests.worlds.memory import START

NAME = "log/2026/03/01/12/0123456789abcdef0123456789abcdef/000000.json"
FOREIGN = "what answers there is not the service"
MADE = {"Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}


@pytest.fixture
def log(bucket: tuple[Script, Open]) -> Objects:
    """Open the bucket as a log."""
    return bucket[1](AUDIT)


def _whole(kind: str) -> str:
    """Return a listing of one object."""
    return listing(kind, {NAME: 5}).decode()


def _without(kind: str, s3: str, blobs: str) -> str:
    """Return it without a member that the service always sends."""
    return _whole(kind).replace(blobs if kind == "az" else s3, "")


#: Bodies of a success that are no listing of that service, from its kind.
NO_LISTING: dict[str, Callable[[str], str]] = {
    "nothing": lambda _kind: "",
    "a page": lambda _kind: PAGE.decode(),
    "a page of XML": lambda _kind: '<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
    "a text": lambda _kind: "please log in",
    "JSON": lambda _kind: '{"items": [], "kind": "storage#objects"}',
    "an error": lambda _kind: "<Error><Code>InternalError</Code></Error>",
    "another root": lambda _kind: "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>",
    "another service's": lambda kind: _whole("s3" if kind == "az" else "az"),
    "a root alone": lambda kind: "<EnumerationResults/>" if kind == "az" else "<ListBucketResult/>",
    "half of it": lambda kind: _whole(kind)[: len(_whole(kind)) // 2],
    "all but its end": lambda kind: _whole(kind)[:-1],
    "no word on the end": lambda kind: _without(
        kind, "<IsTruncated>false</IsTruncated>", "<NextMarker />"
    ),
    "no name": lambda kind: _whole(kind).replace(NAME, ""),
    "no key": lambda kind: _without(kind, f"<Key>{NAME}</Key>", f"<Name>{NAME}</Name>"),
    "other names": lambda kind: listing(kind, {"elsewhere/x": 1}).decode(),
}


@pytest.mark.parametrize("body", NO_LISTING.values(), ids=list(NO_LISTING))
def test_what_is_no_listing(script: Script, log: Objects, body: Callable[[str], str]) -> None:
    """No use of a listing takes it for one: not a run, not a verification, not a claim."""
    script.always["LIST"] = Reply(200, body(script.kind).encode())
    uses: list[Callable[[], object]] = [
        lambda: log.entries("log/"),
        lambda: log.children("log/"),
        lambda: log.look("log/", 10),
        lambda: list(log.strange("log/")),
        lambda: read_tail(log, START),
        lambda: verify(log),
    ]
    for use in uses:
        with pytest.raises(AuditUnavailable, match=FOREIGN):
            use()


def test_claims_that_can_not_be_listed(bucket: tuple[Script, Open]) -> None:
    """Nobody takes over a claim because a page shows none."""
    script, opened = bucket
    claims = Claims(opened(CLAIMS), "vault")
    claims.take("some-key", "base", START)
    script.always["LIST"] = Reply(200, PAGE)
    with pytest.raises(StoreUnavailable, match=FOREIGN):
        claims.take("some-key", "base", START)
    assert list(script.held) == ["vault/some-key/base/0"]


def test_more_pages_without_a_word_where(script: Script, log: Objects) -> None:
    """A listing that goes on has a token; one whose token is empty is cut off."""
    if script.kind == "az":
        return  # there, the token alone says that it goes on
    more = _whole(script.kind).replace("false", "true")
    for token in ("", "<NextContinuationToken/>"):
        end = f"{token}</ListBucketResult>"
        script.always["LIST"] = Reply(200, more.replace("</ListBucketResult>", end).encode())
        with pytest.raises(AuditUnavailable, match=FOREIGN):
            log.entries("log/")


def test_a_token_that_repeats(script: Script, log: Objects) -> None:
    """It is a listing without an end, and no log that ends there."""
    more = "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
    body = _whole(script.kind).replace("<NextMarker />", "<NextMarker>t</NextMarker>")
    body = body.replace("false", "true").replace("</ListBucketResult>", more)
    script.always["LIST"] = Reply(200, body.encode())
    with pytest.raises(AuditUnavailable, match="never ends"):
        log.entries("log/")


def test_a_token_that_is_not_needed(script: Script, log: Objects) -> None:
    """S3 and Cloud Storage say whether there is more: a token beside "no" changes nothing."""
    more = "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
    body = _whole(script.kind).replace("</ListBucketResult>", more)
    script.always["LIST"] = Reply(200, body.encode())
    assert [entry.name for entry in log.entries("log/")] == [NAME]


@pytest.mark.parametrize("date", ["", "<Last-Modified/>", "<Last-Modified>x</Last-Modified>"])
def test_a_blob_without_a_date(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim's age follows from it: without one, nobody may take the claim over."""
    with scripted("az", monkeypatch) as (script, opened):
        claims = Claims(opened(CLAIMS), "vault")
        claims.take("some-key", "base", START)
        body = listing("az", {"vault/some-key/base/0": 5}).decode()
        made = "<Last-Modified>Sun, 01 Mar 2026 12:00:00 GMT</Last-Modified>"
        assert made in body
        script.always["LIST"] = Reply(200, body.replace(made, date).encode())
        with pytest.raises(StoreUnavailable, match=FOREIGN):
            claims.take("some-key", "base", START)


#: Answers to a read that are no object, by what the service's own always have.
NO_OBJECT = {
    "a page": Reply(200, PAGE, MADE),
    "a page with an etag": Reply(200, PAGE, {**MADE, "ETag": '"5e2f-5a1"'}),
    "a weak etag": Reply(200, PAGE, {**MADE, "ETag": 'W/"0x8DC1"'}),
    "another success": Reply(203, PAGE, {**MADE, "ETag": "x"}),
    "nothing": Reply(204, b"", MADE),
    "a page that says 404": Reply(404, PAGE),
    "404 without a word": Reply(404),
}


@pytest.mark.parametrize("reply", NO_OBJECT.values(), ids=list(NO_OBJECT))
def test_what_is_no_object(script: Script, log: Objects, reply: Reply) -> None:
    """It is neither a record that somebody broke nor an object that is gone."""
    script.held[NAME] = b"12345"
    script.always["GET"] = reply
    uses: list[Callable[[], object]] = [
        lambda: log.get(NAME),
        lambda: log.get_up_to(NAME, 100),
        lambda: verify(log),
    ]
    for use in uses:
        with pytest.raises(AuditUnavailable, match="can't be read"):
            use()


def test_a_place_that_is_gone_is_no_missing_object(script: Script, log: Objects) -> None:
    """The service's word for an object is another than its word for the place."""
    assert log.get(NAME) is None
    script.always["GET"] = refusal(
        404, "ContainerNotFound" if script.kind == "az" else "NoSuchBucket"
    )
    with pytest.raises(AuditUnavailable, match="it does not exist"):
        log.get(NAME)


@pytest.mark.parametrize("came", [b"", b"1234", b"123456"])
def test_an_object_of_another_size_than_its_listing_shows(
    script: Script, log: Objects, came: bytes
) -> None:
    """Half a body with all its headers: objects never change, so the answer is not the object."""
    script.held[NAME] = b"12345"
    (entry,) = log.entries("log/")
    assert log.get_listed(entry, 100) == b"12345"
    assert log.get_listed(entry, 3) == b"123"
    assert log.get_listed(Entry(NAME, START, None), 100) == b"12345"
    script.always["GET"] = Reply(200, came, {**script.headers(came)})
    uses: list[Callable[[], object]] = [
        lambda: log.get_listed(entry, 100),
        lambda: BoundedLog(log, ReadBudget()).get_listed(entry),
        lambda: verify(log),
    ]
    for use in uses:
        with pytest.raises(AuditUnavailable, match=f"bytes of {NAME} came.*{FOREIGN}"):
            use()
