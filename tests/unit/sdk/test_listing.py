"""Listings that never end: an error after few calls, whatever the cloud's client would do."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from daena_kms.errors import AuditUnavailable, DaenaKMSError, StoreUnavailable
from daena_kms.objects.base import AUDIT, CLAIMS, Use
from daena_kms.objects.cloud import CloudObjects
from daena_kms.objects.listing import BlobForm, Form, Lister, Patience, S3Form
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.azure.client import Vault
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.login import GcpLogin
from daena_kms.sdk.listing import MOST_ALIKE, MOST_EMPTY, Watch
from daena_kms.sdk.rest import Answer

#: What the pages' tokens are, whether the pages hold something (``None``: always the same), and how
#: many calls are enough.
ENDLESS: dict[str, tuple[Callable[[int], str], bool | None, int]] = {
    "the same": (lambda _page: "a", True, 2),
    "two in turn": (lambda page: "ab"[page % 2], True, 3),
    "nine in turn": (lambda page: str(page % 9), True, 10),
    "back to the first of many": (lambda page: str(page if page < 50 else 7), True, 51),
    "the same and nothing in it": (lambda _page: "a", False, 2),
    "ever new and nothing in it": (str, False, MOST_EMPTY),
    "ever new and always the same in it": (str, None, MOST_ALIKE),
}


class Pages:
    """Counts the pages that were asked for, and says which token each has."""

    def __init__(self, token: Callable[[int], str], *, full: bool | None) -> None:
        self.asked = 0
        self._token = token
        self._full = full

    def page(self) -> tuple[list[str], str]:
        """Return the next page: its items and its token."""
        self.asked += 1
        assert self.asked <= MOST_EMPTY, "it would never end"
        held = f"number-{self.asked if self._full else 0}"
        return [] if self._full is False else [held], self._token(self.asked - 1)


def of_aws(pages: Pages) -> Iterator[Any]:
    """List secrets."""

    def list_secrets(**_arguments: object) -> dict[str, Any]:
        items, token = pages.page()
        found = [{"Name": item} for item in items]
        return {"SecretList": found, "NextToken": token, "ResponseMetadata": {"HTTPHeaders": {}}}

    client: Any = SimpleNamespace(list_secrets=list_secrets)
    return AWS(None, None, {"secretsmanager": client}).pages("secretsmanager", "list_secrets")


def of_azure(pages: Pages) -> Iterator[Any]:
    """List a vault."""

    class Paged:
        continuation_token: str | None = None

        def by_page(self) -> "Paged":
            return self

        def __next__(self) -> Iterator[str]:
            items, self.continuation_token = pages.page()
            return iter(items)

    client: Any = SimpleNamespace(vault_url="https://x.vault.azure.net", listed=Paged)
    vault = Vault(None, Login({}), client)
    return vault.pages(None, lambda c: c.listed())  # type: ignore[attr-defined] # not the SDK's


def of_gcp(pages: Pages) -> Iterator[Any]:
    """List a project's secrets."""

    def answers() -> Iterator[Any]:
        while True:
            items, token = pages.page()
            found = [SimpleNamespace(name=item) for item in items]
            yield SimpleNamespace(secrets=found, next_page_token=token)

    client: Any = SimpleNamespace(list_secrets=lambda **_given: SimpleNamespace(pages=answers()))
    return SecretManager(GcpLogin({}), client=client).pages("list_secrets", None)


def of_objects(
    form: Form, write: Callable[[list[str], str], str], use: Use
) -> Callable[[Pages], Any]:
    """Return what lists objects in one of the forms."""

    def listed(pages: Pages) -> Iterator[Any]:
        objects = CloudObjects(SimpleNamespace(prefix="here"), "x://here", use)  # type: ignore[arg-type] # only its prefix is used
        objects._lister = Lister(
            lambda _query: Answer(200, {}, write(*pages.page()).encode()), form, Patience(0, 0)
        )
        return iter(objects.entries("log/"))

    return listed


def s3(items: list[str], token: str) -> str:
    """Write a page of S3's form."""
    keys = "".join(f"<Contents><Key>here/log/{item}</Key></Contents>" for item in items)
    more = f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>"
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult>{more}{keys}{following}</ListBucketResult>"


def blobs(items: list[str], token: str) -> str:
    """Write a page of Blob Storage's form."""
    modified = "<Last-Modified>Mon, 30 Nov 2026 07:00:00 GMT</Last-Modified>"
    names = "".join(
        f"<Blob><Name>here/log/{item}</Name><Properties>{modified}</Properties></Blob>"
        for item in items
    )
    end = f"<Blobs>{names}</Blobs><NextMarker>{token}</NextMarker>"
    return f"<EnumerationResults>{end}</EnumerationResults>"


LISTINGS: dict[str, tuple[Callable[[Pages], Iterator[Any]], type[DaenaKMSError]]] = {
    "Secrets Manager": (of_aws, StoreUnavailable),
    "Key Vault": (of_azure, StoreUnavailable),
    "Secret Manager": (of_gcp, StoreUnavailable),
    "S3, the log": (of_objects(S3Form(encoded=True), s3, AUDIT), AuditUnavailable),
    "Cloud Storage, the log": (of_objects(S3Form(encoded=False), s3, AUDIT), AuditUnavailable),
    "Blob Storage, the log": (of_objects(BlobForm(), blobs, AUDIT), AuditUnavailable),
    "Blob Storage, claims": (of_objects(BlobForm(), blobs, CLAIMS), StoreUnavailable),
}


@pytest.mark.parametrize(("token", "full", "calls"), ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize(("listing", "error"), LISTINGS.values(), ids=LISTINGS)
def test_a_listing_that_never_ends_is_an_error(
    listing: Callable[[Pages], Iterator[Any]],
    error: type[DaenaKMSError],
    token: Callable[[int], str],
    *,
    full: bool | None,
    calls: int,
) -> None:
    """It is noticed by its tokens, or by pages with nothing in them, and says what to check."""
    pages = Pages(token, full=full)
    with pytest.raises(error, match=r"never ends.*Check what answers there") as caught:
        list(listing(pages))
    assert type(caught.value) is error
    assert pages.asked == calls


@pytest.mark.parametrize(("listing", "_error"), LISTINGS.values(), ids=LISTINGS)
def test_empty_pages_with_a_token_are_followed(
    listing: Callable[[Pages], Iterator[Any]], _error: type[DaenaKMSError]
) -> None:
    """A store may send them, at the beginning, in between and at the end."""

    class Sparse(Pages):
        def page(self) -> tuple[list[str], str]:
            _, token = super().page()
            return ["one"] if self.asked in {30, 60} else [], token

    pages = Sparse(lambda page: str(page) if page < 89 else "", full=False)
    found = listing(pages)
    # Key Vault's and Secret Manager's clients end by themselves: here they have no last page.
    seen = [next(found), next(found)] if listing in {of_azure, of_gcp} else list(found)
    assert pages.asked == (60 if listing in {of_azure, of_gcp} else 90)
    assert seen


def test_many_pages_with_something_in_them_have_no_limit() -> None:
    """Only tokens that come again, or nothing for long, are a sign that it never ends."""
    watch = Watch("it")
    for page in range(3 * MOST_EMPTY):
        watch.check(f"token-{page}", [] if page % 3 else [page])
    watch.check(None, [])
    watch.check("", [])
