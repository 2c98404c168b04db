"""On Azure a key's value appears only in the vault, also where what answers is none."""

import json
import logging
from collections.abc import Callable

import pytest
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.errors import DaenaKMSError, StoreUnavailable

from infra.local.azure.blob import ACCOUNT
from infra.local.azure.documents import AzureError, error_answer
from infra.local.http_server import Request, Response
from tests.faults.azure_answers import answering
from tests.faults.leaks import KEY, NEW, Recorder, canary, leaked, texts_of
from tests.worlds.azure import AzureWorld

#: The log of azure-core's that holds whole bodies, where a client was made with logging_enable.
BODIES = "azure.core.pipeline.policies._universal"
# An Azure whose client logs whole bodies at DEBUG.
pytestmark = pytest.mark.parametrize("loud", ["azure"], indirect=True)


def test_a_client_of_ours_is_watched(loud: AzureWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that we make with somebody's credential is kept still like one that was given."""
    logger = logging.getLogger(BODIES)
    loud.lead(monkeypatch)
    silence = list(logger.filters)
    assert silence
    logger.filters.clear()
    credential = loud.sim.credential()
    adapter = AzureKeyVaultAdapter(claims_url=f"az://{ACCOUNT}/claims", credential=credential)
    adapter.create_key(NEW)
    assert logger.filters == silence


@pytest.mark.parametrize("polls", [0, 2])
def test_waiting_for_a_deletion_or_recovery_shows_no_value(
    loud: AzureWorld, logs: Recorder, monkeypatch: pytest.MonkeyPatch, polls: int
) -> None:
    """The looks at a key on its way back read its value, and log none of it."""
    monkeypatch.setattr("daena_kms.sdk.azure.client._LOOK_AGAIN", 0.01, raising=False)
    value = canary()
    loud.adapter.create_key(KEY, value)
    loud.sim.configure(settle_polls=polls)
    loud.adapter.delete_key(KEY)
    loud.adapter.restore_key(KEY)
    assert loud.adapter.get_key(KEY) == value
    assert leaked([value], logs.texts) == []


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


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("operation", ["GetSecret", "SetSecret"])
def test_an_answer_that_is_none(
    loud: AzureWorld, logs: Recorder, operation: str, kind: str
) -> None:
    """An answer that can't be understood is told as one, without quoting it."""
    value = canary()
    loud.adapter.create_key(KEY, value)
    answering(operation, MALFORMED[kind])(loud)
    wanted = DaenaKMSError if kind == "an echo" else StoreUnavailable
    for call in (
        lambda: loud.adapter.create_key(NEW, value),
        lambda: loud.adapter.rotate_key(KEY, value),
        lambda: loud.adapter.get_key(KEY),
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
