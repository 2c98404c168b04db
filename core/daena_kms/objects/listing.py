"""List objects by each cloud's own REST call, so that no object's name ends a listing.

obstore parses every name of an answer and refuses the whole listing for one with an empty part,
``.``, ``..`` or a control character. Anybody who may add to a bucket may add such an object, and in
a locked bucket it stays for years. obstore also follows continuation tokens for ever.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree as ET

from daena_kms.sdk.listing import Watch
from daena_kms.sdk.rest import PASSING, Answer, NoAnswer, Why, seconds_of

#: Answers after which the same question may be answered.
_AGAIN = {408, 429, 500, 502, 503, 504}
_OK = 200
_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
#: What no XML document may contain; some services send it all the same.
_NO_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xed[\xa0-\xbf][\x80-\xbf]"
    rb"|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01]|6553[45])|[xX]0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]|[fF]{3}[eEfF]));"
)
_REPLACED = "\ufffd".encode()
#: Seconds between two tries.
_BASE, _LONGEST = 0.1, 2.0
#: obstore's own, where a store says nothing.
_RETRIES, _SECONDS = 10, 180.0


#: Sends a GET with a query. Raises :class:`NoAnswer`, and the errors of the login.
type Ask = Callable[[Mapping[str, str]], Answer]


class Refused(Exception):
    """The service refused the question; the text is its code, and ``answer`` is for no message."""

    def __init__(self, answer: Answer) -> None:
        #: Empty if the service says none.
        self.code = _code(answer)
        super().__init__(self.code or str(answer.status))
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Item:
    """One object in a page; the name is the whole one, in whatever characters it has."""

    name: str
    modified: datetime
    size: int


@dataclass(slots=True)
class Page:
    """One page of a listing."""

    items: list[Item] = field(default_factory=list)
    #: The names of folders, each with its slash at the end, if the listing has a delimiter.
    folders: list[str] = field(default_factory=list)
    #: What the next page is asked for with; empty: there is none.
    token: str = ""
    #: The time by the service's own clock, if it said it.
    at: datetime | None = None

    def names(self) -> list[str]:
        """Return the names of the objects and the folders in it."""
        return [*(item.name for item in self.items), *self.folders]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is listed."""

    #: The beginning of the whole name.
    prefix: str
    #: Names up to this one may be left out.
    after: str = ""
    #: Whether what lies below a further slash is shown as a folder only.
    folders: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a question is asked again, and for how long."""

    retries: int
    seconds: float


class Lister:
    """Lists one bucket or container.

    Args:
        ask: Sends one question.
        form: The form of the service's list call.
        patience: When to give up.
    """

    def __init__(self, ask: Ask, form: "Form", patience: Patience) -> None:
        self._ask = ask
        self._form = form
        self._patience = patience

    def pages(self, asked: Asked, watch: Watch) -> Iterator[Page]:
        """Yield the pages of a listing.

        Args:
            asked: What is listed.
            watch: Raises for a listing that never ends.

        Raises:
            Refused: The service refused.
            NoAnswer: It did not answer, or not with a listing.
        """
        token = ""
        while True:
            answer = self._patiently(self._form.query(asked, token))
            if answer.status != _OK:
                raise Refused(answer)
            page = self._form.page(_document(answer.body))
            if not all(name.startswith(asked.prefix) for name in page.names()):
                raise NoAnswer("another listing", Why.NONSENSE)
            page.at = _time(answer.headers.get("date", ""))
            watch.check(page.token, page.names())
            yield page
            token = page.token
            if not token:
                return

    def _patiently(self, query: Mapping[str, str]) -> Answer:
        """Ask, and ask again while the service is throttling, failing or away."""
        until = time.monotonic() + self._patience.seconds
        wait = _BASE
        for left in range(self._patience.retries, -1, -1):
            last = left == 0 or time.monotonic() + wait > until
            try:
                answer = self._ask(query)
            except NoAnswer as away:
                if last or away.why not in PASSING:
                    raise
            else:
                if last or answer.status not in _AGAIN:
                    return answer
            time.sleep(wait * random.SystemRandom().uniform(0.5, 1))
            wait = min(2 * wait, _LONGEST)
        raise NoAnswer(NoAnswer.__name__)  # not reached: the last try raises or returns


class Form(Protocol):
    """The form of a service's list call."""

    def query(self, asked: Asked, token: str) -> dict[str, str]:
        """Return the query that asks for a page."""

    def page(self, document: ET.Element) -> Page:
        """Return the page in an answer.

        Raises:
            NoAnswer: It lacks what the service always says, so something else answered.
        """


class S3Form:
    """ListObjectsV2 of S3, and of Cloud Storage's XML API.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and
    https://cloud.google.com/storage/docs/xml-api/get-bucket-list

    Args:
        encoded: Ask for names in URL encoding: XML has no way to write some characters that a name
            on S3 may have.
    """

    def __init__(self, *, encoded: bool) -> None:
        self._always = {"list-type": "2"} | ({"encoding-type": "url"} if encoded else {})

    def query(self, asked: Asked, token: str) -> dict[str, str]:
        """Return the query that asks for a page."""
        given = {
            "prefix": asked.prefix,
            "delimiter": "/" if asked.folders else "",
            "continuation-token": token,
            "start-after": "" if token else asked.after,
        }
        return self._always | {name: text for name, text in given.items() if text}

    def page(self, document: ET.Element) -> Page:
        """Return the page in an answer, which says whether it is the last."""
        _check(_tag(document) == "ListBucketResult")
        more = _text(document, "IsTruncated")
        token = _text(document, "NextContinuationToken")
        _check(more == "false" or (more == "true" and bool(token)))
        page = Page(token=token if more == "true" else "")
        encoded = _text(document, "EncodingType") == "url"

        def named(element: ET.Element, name: str) -> str:
            text = _text(element, name)
            return unquote_plus(text, errors="surrogateescape") if encoded else text

        for element in document:
            match _tag(element):
                case "Contents":
                    modified = _time(_text(element, "LastModified"))
                    size = _size(_text(element, "Size"))
                    _check(bool(_text(element, "Key")))
                    page.items.append(Item(named(element, "Key"), modified or _UNKNOWN, size))
                case "CommonPrefixes":
                    _check(bool(_text(element, "Prefix")))
                    page.folders.append(named(element, "Prefix"))
        return page


class BlobForm:
    """List Blobs. https://learn.microsoft.com/rest/api/storageservices/list-blobs."""

    def query(self, asked: Asked, token: str) -> dict[str, str]:
        """Return the query that asks for a page."""
        given = {
            "prefix": asked.prefix,
            "delimiter": "/" if asked.folders else "",
            "marker": token,
            # That name itself may be among the answers.
            "startFrom": "" if token else asked.after,
        }
        always = {"restype": "container", "comp": "list"}
        return always | {name: text for name, text in given.items() if text}

    def page(self, document: ET.Element) -> Page:
        """Return the page in an answer, which has both members also where they are empty."""
        blobs, marker = _child(document, "Blobs"), _child(document, "NextMarker")
        _check(_tag(document) == "EnumerationResults" and marker is not None)
        page = Page(token=_text(document, "NextMarker"))
        for element in _there(blobs):
            found = _child(element, "Name")
            name = (found.text or "") if found is not None else ""
            _check(bool(name))
            if found is not None and found.get("Encoded") == "true":
                # What XML has no way to write, since version 2021-02-12.
                name = unquote(name, errors="surrogateescape")
            if _tag(element) == "BlobPrefix":
                page.folders.append(name)
            elif _tag(element) == "Blob":
                properties = _child(element, "Properties")
                inner = properties if properties is not None else element
                if _text(inner, "ResourceType") == "directory":
                    continue  # in an account with a hierarchical namespace: no object
                # How old a claim is follows from it: one without it must not count as old.
                modified = _there(_time(_text(inner, "Last-Modified")))
                size = _size(_text(inner, "Content-Length"))
                page.items.append(Item(name, modified, size))
        return page


def _check(holds: object) -> None:
    """Raise :class:`NoAnswer` for an answer that lacks what the service always says."""
    if not holds:
        raise NoAnswer("no listing", Why.NONSENSE)


def _there[T](member: T | None) -> T:
    """Return a member of an answer. Raises :class:`NoAnswer` where there is none."""
    if member is None:
        raise NoAnswer("no listing", Why.NONSENSE)
    return member


#: A date that can't be read counts as old: nothing waits for it.
_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


def _document(body: bytes) -> ET.Element:
    """Return a listing's document, without the characters that no document may contain."""
    for text in (body, _NO_XML.sub(_REPLACED, body.decode(errors="replace").encode())):
        try:
            return ET.fromstring(text)  # noqa: S314 - the answer of the service that holds the log
        except ET.ParseError:
            continue
    raise NoAnswer("no listing", Why.NONSENSE)


def _tag(element: ET.Element) -> str:
    """Return an element's name without its namespace, which services write or leave out."""
    return element.tag.rpartition("}")[2]


def _child(element: ET.Element, name: str) -> ET.Element | None:
    return next((inner for inner in element if _tag(inner) == name), None)


def _text(element: ET.Element, name: str) -> str:
    inner = _child(element, name)
    return (inner.text or "") if inner is not None else ""


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1" * 20) else 0


def _time(text: str) -> datetime | None:
    """Return a time in either of the forms that the services use."""
    try:
        if text[:1].isdigit():
            return datetime.fromisoformat(text).astimezone(UTC)
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _code(answer: Answer) -> str:
    """Return a refusal's code: a word of the service's, never its text. It may be empty."""
    named = re.fullmatch(r"[A-Za-z]{1,60}", answer.headers.get("x-ms-error-code", ""), re.ASCII)
    if named is not None:
        return named[0]
    found = _CODE.search(answer.body)
    return found[1].decode() if found is not None else ""


def lister_of(store: Any) -> Lister:
    """Return what lists the place of an obstore store, from the store's own settings.

    So both go to the same address as the same caller.

    Raises:
        DaenaKMSError: The cloud's SDK is not installed.
    """
    retry = store.retry_config or {}
    patience = Patience(
        int(retry.get("max_retries", _RETRIES)), seconds_of(retry.get("retry_timeout", _SECONDS))
    )
    kind = type(store).__name__
    if kind == "S3Store":
        from daena_kms.sdk.aws.bucket import asker as of_s3

        return Lister(of_s3(store), S3Form(encoded=True), patience)
    if kind == "AzureStore":
        from daena_kms.sdk.azure.container import asker as of_azure

        return Lister(of_azure(store), BlobForm(), patience)
    from daena_kms.sdk.gcp.bucket import asker as of_gcs

    return Lister(of_gcs(store), S3Form(encoded=False), patience)
