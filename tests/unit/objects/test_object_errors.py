"""What a failed put and a failed listing say: what it is, what to do, and no foreign text."""

import socket
from typing import TYPE_CHECKING, Any

import obstore.store
import pytest
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.objects import failures
from daena_kms.objects.base import AUDIT
from daena_kms.objects.cloud import CloudObjects, Provider

from tests.unit.objects import answers
from tests.unit.objects.answers import CANARY, WAYS, Way, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import S3Credential


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    answers.surroundings(monkeypatch)


@pytest.fixture(params=WAYS, ids=lambda way: way.done)
def way(request: pytest.FixtureRequest) -> Way:
    """Each use of the log."""
    found: Way = request.param
    return found


ANSWERS = {
    "another region, named": (
        *(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"),
        r"in another region \(eu-west-3\)\. Set AWS_REGION to eu-west-3",
    ),
    "another region": (301, "PermanentRedirect", "", "in another region. Set AWS_REGION"),
    "another region, without a word": (301, "", "", "in another region. Set AWS_REGION"),
    "a constraint": (400, "IllegalLocationConstraintException", "", "in another region"),
    "a clock": (
        *(403, "RequestTimeTooSkewed", "<ServerTime>2020-01-01T00:00:00Z</ServerTime>"),
        r"this machine's clock is wrong: it is \d+ s ahead of theirs\. Set this machine's clock",
    ),
    "a clock, without a time": (403, "RequestTimeTooSkewed", "", "clock is wrong. Set"),
    "credentials": (403, "InvalidAccessKeyId", "", "credentials are not accepted"),
    "an expired login": (400, "ExpiredToken", "", "credentials are not accepted"),
    "permission": (403, "AccessDenied", "", "the caller is refused.*permissions"),
    "no bucket": (404, "NoSuchBucket", "", "it does not exist"),
    "no create-if-absent": (501, "NotImplemented", "", "the service refused the request"),
    "a busy service": (503, "SlowDown", "", "busy or failed by itself"),
}


@pytest.mark.parametrize(("status", "code", "more", "words"), ANSWERS.values(), ids=list(ANSWERS))
def test_answers(
    status: int, code: str, more: str, words: str, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is called what it is; of the answer's text nothing is shown, nor the network blamed."""
    text = f"<Error><Code>{code}</Code><Message>{CANARY} InvalidCertificate( dns</Message>{more}"
    body = f"{text}</Error>".encode() if code else b""
    with serving(status=status, body=body) as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        assert "the network" not in way.fail(with_=words)


PAST = {"Date": "Wed, 01 Jan 2020 00:00:00 GMT"}
CLOCK = r"this machine's clock is wrong: it is \d+ s ahead of theirs\. Set this machine's clock"
#: What only a listing's own answer shows: its headers.
HEADERS: dict[str, tuple[int, str, dict[str, str], str]] = {
    "a region": (
        *(301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-3"}),
        r"in another region \(eu-west-3\)\. Set AWS_REGION to eu-west-3",
    ),
    "a region, without a word": (
        *(301, "", {"x-amz-bucket-region": "eu-west-3"}),
        r"\(301\): it is in another region \(eu-west-3\)",
    ),
    "a region that is none": (
        *(301, "", {"x-amz-bucket-region": f"{CANARY} x"}),
        "in another region. Set AWS_REGION to the bucket's region",
    ),
    "a page to log in at": (
        *(302, "", {"Location": f"http://127.0.0.1:1/{CANARY}"}),
        r"\(302\): the service refused the request",
    ),
    "a time": (403, "SignatureDoesNotMatch", PAST, CLOCK),
    "a time, in Azure's words": (
        403,
        "",
        {"x-ms-error-code": "AuthenticationFailed", **PAST},
        CLOCK,
    ),
    "a time that changes nothing": (403, "AccessDenied", PAST, "the caller is refused"),
    "a time that is none": (
        *(403, "SignatureDoesNotMatch", {"Date": CANARY}),
        "credentials are not accepted",
    ),
    "no container": (404, "", {"x-ms-error-code": "ContainerNotFound"}, "it does not exist"),
    "a busy account": (503, "", {"x-ms-error-code": "ServerBusy"}, "busy or failed by itself"),
    "a code that is none": (
        *(403, "", {"x-ms-error-code": f"{CANARY} x"}),
        r"\(403\): the caller is refused",
    ),
    "no login": (401, "", {}, r"\(401\): the credentials are not accepted"),
    "a proxy's": (407, "", {}, r"\(407\): the proxy refuses the connection"),
    "a gateway's": (502, "", {}, r"\(502\): it is busy or failed by itself"),
    "no listing": (200, "", {}, r"\(no listing\): what answers there is not the service"),
    "nothing known": (418, "", {}, r"\(418\): the service refused the request"),
}


@pytest.mark.parametrize(("status", "code", "more", "words"), HEADERS.values(), ids=list(HEADERS))
def test_headers_of_a_listing(
    status: int, code: str, more: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They tell as much as the body, and nothing of them is shown either."""
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else CANARY.encode()
    with serving(status=status, body=body, more=more) as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        WAYS[1].fail(with_=words)


@pytest.mark.parametrize("status", [401, 403, 404, 407, 429, 500, 502, 503, 418])
def test_both_tell_the_same(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A status without a word means the same to a put and to a listing."""
    with serving(status=status, body=b"") as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        told = {way.fail().partition("): ")[2] for way in WAYS}
    assert len(told) == 1


#: A name that can't be looked up, and isn't: no part of a name is as long.
NOWHERE = f"{'x' * 64}.invalid"


@pytest.fixture
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python find no host, before it asks anybody."""

    def fail(*_given: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.mark.usefixtures("_nowhere")
def test_a_host_that_nobody_knows(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called that."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{NOWHERE}")
    assert "its host's name can't be looked up" in way.fail()


@pytest.mark.usefixtures("_nowhere")
def test_a_proxy_that_nobody_knows(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not called the host's name."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://{NOWHERE}:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example")
    assert "the proxy refuses the connection. Check HTTPS_PROXY" in way.fail()


def test_a_proxy_that_is_not_there(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not called the network."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example")
    assert "the proxy refuses the connection. Check HTTPS_PROXY" in way.fail()


def test_a_panic_does_not_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of the library is a BaseException, which would end a run without its records."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

    class Broken:
        def __getattr__(self, name: str) -> object:
            raise panic(CANARY)

    store: Any = Broken()
    for name in ("put", "get"):
        monkeypatch.setattr(obstore, name, lambda store, *_given, **_named: store.x)
    log = CloudObjects(store, "s3://bucket")
    calls: dict[str, Callable[[], object]] = {
        "written": lambda: log.put_new("x", b""),
        "read": lambda: log.get("x"),
        "listed": lambda: log.entries("log/"),
        "listed ": lambda: log.children("log/"),
    }
    for what, call in calls.items():
        with pytest.raises(AuditUnavailable, match=f"can't be {what.strip()}") as no:
            call()
        assert CANARY not in repr(no.value)

    def make() -> object:
        raise panic(CANARY)

    with pytest.raises(ConfigError, match="can't be reached with these settings") as refused:
        failures.made(make, "s3://bucket", AUDIT)
    assert CANARY not in repr(refused.value)


def test_a_real_panic_is_ours() -> None:
    """The library's own, which its form checks would have kept away."""

    def provide() -> "S3Credential":
        return {"access_key_id": "a", "secret_access_key": "b", "expires_at": None}

    store = obstore.store.S3Store(
        "bucket",
        config={"endpoint": "http://127.0.0.1:1 ", "region": "x"},
        client_options={"allow_http": True},
        credential_provider=provide,
    )
    with pytest.raises(AuditUnavailable, match=r"\(PanicException\): the library that reaches it"):
        CloudObjects(store, "s3://bucket").put_new("x", b"")


def test_interrupts_and_defects_stay_what_they_are() -> None:
    """Ctrl-C in the middle of a call, and while credentials are found, ends the program."""

    def interrupted() -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failures.made(interrupted, "s3://bucket", AUDIT)
    provider: Provider[Any] = Provider(interrupted)
    store = obstore.store.S3Store(
        "bucket",
        config={"endpoint": "http://127.0.0.1:1", "region": "x"},
        client_options={"allow_http": True},
        credential_provider=provider,
    )
    log = CloudObjects(store, "s3://bucket", AUDIT, provider)
    with pytest.raises(KeyboardInterrupt):
        log.put_new("x", b"")
    with pytest.raises(KeyboardInterrupt):
        log.entries("log/")


def test_why_there_are_no_credentials(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's error would hide it, and say that the address is wrong."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "no usable AWS credentials (NoCredentialsError). Check" in way.fail()
