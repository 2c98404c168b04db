"""The parts on their own: what an answer proves, how an error ends a check, and one question."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.doctor.base import ServerTime, server_time
from daena_kms.doctor.check import Check, Status, guarded
from daena_kms.doctor.factory import exam_of, place_of
from daena_kms.doctor.permission import Permission, probe
from daena_kms.doctor.portable import clock
from daena_kms.doctor.web import ask
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.rules.policy import Defaults
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.local.store import LocalStore

from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal, SimServer
from tests.worlds.memory import START, MemoryObjects


def by_policy() -> AccessDenied:
    """A refusal by a policy."""
    error = AccessDenied("no")
    error.by_policy = True
    return error


@pytest.mark.parametrize(
    ("error", "given", "status"),
    [
        (None, {"answered": True}, Status.OK),
        (None, {}, Status.UNKNOWN),
        (KeyNotFound("there is none"), {}, Status.OK),
        (KeyNotFound("there is none"), {"telling": False}, Status.UNKNOWN),
        (by_policy(), {}, Status.WRONG),
        (by_policy(), {"certain": False}, Status.UNKNOWN),
        (by_policy(), {"always": False}, Status.WARNING),
        (AccessDenied("expired"), {}, Status.UNKNOWN),
        (StoreUnavailable("away", todo="Wait"), {}, Status.UNKNOWN),
        (ConfigError("bad", todo="Mend"), {}, Status.UNKNOWN),
    ],
)
def test_what_an_answer_proves(
    error: DaenaKMSError | None, given: dict[str, bool], status: Status
) -> None:
    """Only what a service says to those alone who may, or may not, make the call."""

    def call() -> None:
        if error is not None:
            raise error

    permission = Permission("store:Do", "for doing", **{"always": True, "call": call, **given})  # type: ignore[arg-type]  # flags, but for the call
    assert probe(permission).status is status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreUnavailable("away"), Status.UNKNOWN),
        (ConfigError("bad"), Status.WRONG),
        (AccessDenied("no"), Status.WRONG),
        (KeyNotFound("gone meanwhile"), Status.UNKNOWN),
    ],
)
def test_an_error_ends_its_check_alone(error: DaenaKMSError, status: Status) -> None:
    """What was found before it stays; only a setting or a refusal proves that it is wrong."""
    first = Check("one", Status.OK, "fine")

    def checks() -> Iterator[Check]:
        yield first
        raise error

    one, two = guarded("two", checks)
    assert one is first
    assert (two.name, two.status, two.found, two.todo) == ("two", status, error.what, "")


def test_a_refusal_of_what_only_the_doctor_asks_proves_nothing() -> None:
    """Where the caller of the check says so."""

    def checks() -> list[Check]:
        raise AccessDenied("no")

    (found,) = guarded("one", checks, Status.UNKNOWN)
    assert found.status is Status.UNKNOWN


def test_an_unforeseen_error_ends_its_check_alone() -> None:
    """Only its type and its place are told."""

    def checks() -> Iterator[Check]:
        yield Check("one", Status.OK, "fine")
        raise KeyError("c4naRy")

    _, found = guarded("two", checks)
    assert (found.name, found.status) == ("two", Status.UNKNOWN)
    assert "KeyError" in found.found
    assert "c4naRy" not in found.found


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_an_answer_without_a_date(date: str | None) -> None:
    """There is nothing to compare with, which is said."""
    assert server_time("it", date, START) is None
    assert clock(None).status is Status.UNKNOWN


def test_a_date_without_a_zone_is_utc() -> None:
    """As all dates of HTTP are."""
    found = server_time("it", "Sun, 01 Mar 2026 12:00:00 -0000", START)
    assert found == ServerTime("it", START, START)
    assert clock(found).found == "within two seconds of the clock of it"


class Elsewhere:
    """A service that sends whoever asks to somewhere else, or says no JSON."""

    name = "elsewhere"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def claim(self, request: Request) -> Operation:
        """Take every request."""
        self.seen.append(request.path)
        return Operation(self.name, "Any", {})

    def perform(self, operation: Operation, request: Request) -> Response:
        """Answer by the path."""
        del operation
        if request.path == "/moved":
            return Response(302, b"[1]", {"Location": "/stolen"})
        return Response(200, b"[]")

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Nothing is refused."""
        raise NotImplementedError(refusal, operation)


def test_a_token_is_for_who_was_asked() -> None:
    """No redirect is followed; a document that is no object is none."""
    service = Elsewhere()
    with SimServer((service,)) as server:
        moved = ask(f"{server.url}/moved", "token")
        plain = ask(f"{server.url}/plain", "token", body={"a": 1})
    assert (moved.status, moved.document) == (302, None)
    assert (plain.status, plain.document) == (200, None)
    assert service.seen == ["/moved", "/plain"]


def test_a_store_or_a_log_that_nobody_wrote_checks_for_is_not_taken_for_another(
    tmp_path: Path,
) -> None:
    """A store without an exam is not examined as a folder, nor a log at an unknown address."""
    unknown = CloudKMSAdapter(LocalStore(tmp_path), Defaults())
    with pytest.raises(ConfigError, match=r"no exam for .*CloudKMSAdapter.*aws.*local"):
        exam_of(unknown, lambda: START)
    with pytest.raises(ConfigError, match=r"memory://.*file://, s3://, az:// or gs://"):
        place_of(MemoryObjects())


@pytest.mark.parametrize("url", ["http://example.com/", "file:///etc/passwd", "ftp://127.0.0.1/"])
def test_a_token_goes_by_tls_alone(url: str) -> None:
    """But to this machine itself."""
    with pytest.raises(ConfigError, match="is not https"):
        ask(url, "token")


def test_nobody_answers() -> None:
    """That is a store that is away, and the token is not in the error."""
    with pytest.raises(StoreUnavailable, match="did not answer") as caught:
        ask("http://127.0.0.1:1/", "very-secret")
    assert "very-secret" not in str(caught.value)
