"""On Azure a key's value appears only in the vault, also where the SDK logs all that it sends."""

import json
import logging
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.errors import DaenaKMSError, StoreUnavailable

from infra.local.azure.blob import ACCOUNT
from infra.local.azure.documents import AzureError, error_answer
from infra.local.faults import How, only
from infra.local.http_server import Request, Response
from infra.local.server import Operation
from tests.faults.leaks import (
    KEY,
    NEW,
    Recorder,
    canary,
    check_errors,
    leaked,
    live,
    recorded,
    texts_of,
)
from tests.worlds.azure import AzureWorld
from tests.worlds.kinds import open_world

#: The log of azure-core's that holds whole bodies, where a client was made with logging_enable.
BODIES = "azure.core.pipeline.policies._universal"
VAULT = only("keyvault", None)


@pytest.fixture
def logs() -> Iterator[Recorder]:
    """Record everything that is logged anywhere, at DEBUG."""
    with recorded() as recorder:
        yield recorder


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[AzureWorld]:
    """Give an empty Azure whose client logs whole bodies at DEBUG."""
    # The patch is undone before the world's own, which sets some of the same variables.
    with (
        open_world("azure", tmp_path, logging_enable=True) as world,
        pytest.MonkeyPatch.context() as patch,
    ):
        assert isinstance(world, AzureWorld)
        for name, value in world.sim.environment.items():
            patch.setenv(name, value)
        yield world


def own_client(azure: AzureWorld) -> None:
    """Let the world's adapter make its client by itself, with the identity of an app."""
    adapter = AzureKeyVaultAdapter(claims_url=f"az://{ACCOUNT}/claims")
    azure.adapter = adapter
    azure.log = open_log(f"az://{ACCOUNT}/audit/own", login=adapter.login)


@pytest.mark.parametrize("whose", ["given client", "own client"])
def test_no_log_holds_a_value(azure: AzureWorld, logs: Recorder, whose: str) -> None:
    """With every logger at DEBUG nothing of a value is logged, in whatever thread."""
    if whose == "own client":
        own_client(azure)
    logs.texts.clear()
    values = live(azure)
    assert leaked(values, logs.texts) == []
    assert "daena_kms" in logs.names
    # What the SDK says from INFO on is kept, and is no body.
    assert any(name.startswith("azure.core") for name in logs.names)


def test_the_search_would_find_it(
    azure: AzureWorld, logs: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the filter on the SDK's loggers values are there, sent and received."""
    monkeypatch.setattr("daena_kms.sdk.quiet._Silence.filter", lambda *_: True)
    value = canary()
    azure.adapter.create_key(NEW, value)
    assert leaked([value], logs.texts)
    logs.texts.clear()
    azure.adapter.get_key(NEW)
    assert leaked([value], logs.texts)
    assert BODIES in logs.names


def test_a_client_of_ours_is_watched(azure: AzureWorld) -> None:
    """A client that we make with somebody's credential is kept still like one that was given."""
    logger = logging.getLogger(BODIES)
    silence = list(logger.filters)
    assert silence
    logger.filters.clear()
    credential = azure.sim.credential()
    adapter = AzureKeyVaultAdapter(claims_url=f"az://{ACCOUNT}/claims", credential=credential)
    adapter.create_key(NEW)
    assert logger.filters == silence


@pytest.mark.parametrize("polls", [0, 2])
def test_waiting_for_a_deletion_or_recovery_shows_no_value(
    azure: AzureWorld, logs: Recorder, monkeypatch: pytest.MonkeyPatch, polls: int
) -> None:
    """The looks at a key on its way back read its value, and log none of it."""
    monkeypatch.setattr("daena_kms.sdk.azure.client._LOOK_AGAIN", 0.01, raising=False)
    value = canary()
    azure.adapter.create_key(KEY, value)
    azure.sim.configure(settle_polls=polls)
    azure.adapter.delete_key(KEY)
    azure.adapter.restore_key(KEY)
    assert azure.adapter.get_key(KEY) == value
    assert leaked([value], logs.texts) == []


def test_an_application_s_own_logs_stay(azure: AzureWorld, logs: Recorder) -> None:
    """What the application does with its client at DEBUG is logged as ever."""
    value = azure.adapter.create_key(KEY)
    assert BODIES not in logs.names
    azure.sim.secrets_client(logging_enable=True).get_secret(KEY)
    assert BODIES in logs.names
    assert leaked([value], logs.texts)


def _answers(operation: str, answer: Callable[[bytes], Response]) -> Callable[[AzureWorld], None]:
    """Let the vault do an operation and answer it with what is made of the answer's body."""

    def plan(world: AzureWorld) -> None:
        perform = world.sim.secrets.perform

        def performed(asked: Operation, request: Request) -> Response:
            found = perform(asked, request)
            return answer(found.body) if asked.name == operation else found

        world.sim.secrets.perform = performed  # type: ignore[assignment, method-assign] # the point

    return plan


def _json(body: bytes, status: int = 200) -> Response:
    return Response(status, body, {"Content-Type": "application/json; charset=utf-8"})


def _echoed(body: bytes) -> Response:
    """Answer with an error whose text holds the value, as no service should."""
    text = json.loads(body).get("value", "")
    return error_answer(
        Request("", "", {}, {}, b""), AzureError(400, "BadParameter", f"bad value {text}")
    )


MALFORMED: dict[str, Callable[[bytes], Response]] = {
    "cut": lambda body: _json(body[:-9]),
    "no object": lambda body: _json(b"[" + body + b"]"),
    "no id": lambda body: _json(json.dumps({**json.loads(body), "id": "x"}).encode()),
    "a page": lambda body: Response(200, b"<html>" + body, {"Content-Type": "text/html"}),
    "an echo": _echoed,
}

FAULTS: dict[str, Callable[[AzureWorld], object]] = {
    "dropped": lambda w: w.sim.faults.fail_before(1, when=VAULT, times=99),
    "lost": lambda w: w.sim.faults.fail_after(1, when=VAULT, times=99),
    "error": lambda w: w.sim.faults.fail_before(1, when=VAULT, how=How.ERROR, times=99),
    "error after": lambda w: w.sim.faults.fail_after(
        1, when=only("keyvault", "SetSecret"), how=How.ERROR, times=99
    ),
    "throttled": lambda w: w.sim.faults.throttle(99, when=VAULT, retry_after=120),
    "set denied": lambda w: w.sim.faults.deny("SetSecret"),
    "read denied": lambda w: w.sim.faults.deny("GetSecret"),
    "claims denied": lambda w: w.sim.faults.deny("PutBlob"),
    "claims lost": lambda w: w.sim.faults.fail_before(1, when=only("blob", None), times=99),
    "conflict": _answers(
        "SetSecret",
        lambda body: error_answer(Request("", "", {}, {}, body), AzureError(409, "Conflict", "")),
    ),
    "disabled": lambda w: w.operate(KEY, enabled=False),
    "exists": lambda w: w.adapter.create_key(NEW),
    "held": lambda w: w.operate(KEY, tags={"daena.managed": "true", "daena.hold": "true"}),
    "deleted": lambda w: w.sim.secrets.delete(w.sim.secrets.secret(KEY)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_holds_a_value(azure: AzureWorld, logs: Recorder, fault: str) -> None:
    """Whatever goes wrong while a value is written or read, no error, cause or log shows it."""
    value = secrets.token_urlsafe(40)
    azure.adapter.create_key(KEY, value)
    azure.adapter.rotate_key(KEY)
    FAULTS[fault](azure)
    # What the answer to a set does not tell, a look does: then only what was refused is an error.
    check_errors(azure, logs, value, least=3 if fault == "error after" else 4)


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("operation", ["GetSecret", "SetSecret"])
def test_an_answer_that_is_none(
    azure: AzureWorld, logs: Recorder, operation: str, kind: str
) -> None:
    """An answer that can't be understood is told as one, without quoting it."""
    value = canary()
    azure.adapter.create_key(KEY, value)
    _answers(operation, MALFORMED[kind])(azure)
    wanted = DaenaKMSError if kind == "an echo" else StoreUnavailable
    for call in (
        lambda: azure.adapter.create_key(NEW, value),
        lambda: azure.adapter.rotate_key(KEY, value),
        lambda: azure.adapter.get_key(KEY),
    ):
        error = _error_of(call, wanted)
        assert leaked([value], texts_of(error) if error is not None else []) == []
    assert leaked([value], logs.texts) == []


def _error_of(call: Callable[[], str], kind: type[DaenaKMSError]) -> DaenaKMSError | None:
    try:
        call()
    except kind as error:
        return error
    return None
