"""Every answer of Key Vault in our words, over the wire, with none of the SDK's text."""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.sdk.azure.client import BOUNDS, Vault
from daena_kms.sdk.azure.errors import Disabled, Throttled, Unanswered
from daena_kms.sdk.azure.login import Login

from infra.local.azure.documents import AzureError, error_answer
from infra.local.azure.sim import AzureSimulator
from infra.local.http_server import Request, Response

if TYPE_CHECKING:
    from infra.local.server import Operation

QUICK: dict[str, Any] = {"connection_timeout": 1, "read_timeout": 0.3, "timeout": 1}


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    """A vault with the secret ``key``."""
    with AzureSimulator() as simulator:
        simulator.secrets.add_version("key", secrets.token_urlsafe())
        yield simulator


def vault(sim: AzureSimulator, **options: Any) -> Vault:
    """Return our side of it; the client repeats nothing unless asked to."""
    return Vault(None, Login({}), sim.secrets_client(**options))


def get(used: Vault) -> object:
    """Read the secret."""
    return used.call("key", lambda client: client.get_secret("key", **QUICK))


def put(used: Vault, value: str) -> object:
    """Set the secret."""
    return used.call("key", lambda client: client.set_secret("key", value, retry_total=0, **QUICK))


def failure(call: Callable[[], object], *canaries: str) -> DaenaKMSError:
    """Return the error that a call ends with: one of ours, on which nothing of the SDK's hangs."""
    with pytest.raises(DaenaKMSError) as caught:
        call()
    error = caught.value
    for canary in canaries:
        assert canary not in str(error) + repr(error)
    assert (error.__cause__, error.__context__) == (None, None)
    assert error.key_id == "key"
    assert error.todo
    return error


class Answering:
    """Lets a vault answer each call, the challenge apart, with one and the same error."""

    def __init__(self, sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self._perform = sim.secrets.perform
        self.canary = secrets.token_urlsafe()
        self.response: Response | None = None
        monkeypatch.setattr(sim.secrets, "perform", self._answer)

    def error(
        self,
        status: int,
        code: str,
        inner: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with an error of this form, whose text holds the canary."""
        error = AzureError(status, code, f"text {self.canary}", inner, headers or {})
        self.response = error_answer(Request("", "", {}, {}, b""), error)

    def _answer(self, operation: "Operation", request: Request) -> Response:
        if operation.challenge or self.response is None:
            return self._perform(operation, request)
        return self.response


@pytest.fixture
def answering(sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """The vault's answers, to be replaced."""
    return Answering(sim, monkeypatch)


# https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
ANSWERS: list[tuple[int, str, str | None, type[DaenaKMSError], str]] = [
    (400, "BadParameter", None, ConfigError, r"rejected the call \(400 BadParameter\)"),
    (403, "Forbidden", "ForbiddenByRbac", AccessDenied, r"refused the call \(ForbiddenByRbac\)"),
    (403, "Forbidden", "ForbiddenByFirewall", AccessDenied, "ForbiddenByFirewall.*firewall"),
    (403, "Forbidden", "AccessDenied", AccessDenied, "AccessDenied.*Secrets Officer"),
    (403, "Forbidden", None, AccessDenied, r"\(Forbidden\)"),
    (403, "Forbidden", "SecretManagedByKeyVault", AccessDenied, "SecretManagedByKeyVault"),
    (403, "Forbidden", "SecretDisabled", Disabled, "retired, or somebody disabled it"),
    (404, "SecretNotFound", None, KeyNotFound, "no such key or version"),
    (404, "VaultNotFound", None, KeyNotFound, "Check the name and the vault"),
    (409, "Conflict", None, RotationConflict, "or recovering it. Try again in a minute"),
    (409, "Conflict", "ObjectIsBeingDeleted", RotationConflict, "deleting or recovering"),
    (409, "Conflict", "ObjectIsBeingRecovered", RotationConflict, "deleting or recovering"),
    (
        409,
        "Conflict",
        "ObjectIsDeletedButRecoverable",
        KeyExists,
        "deleted but recoverable. Restore it",
    ),
    (413, "RequestTooLarge", None, ConfigError, r"\(413 RequestTooLarge\)"),
    (429, "Throttled", None, Throttled, "Key Vault throttled the call"),
    (500, "InternalServerError", None, Unanswered, r"failed \(500 InternalServerError\)"),
    (503, "ServiceUnavailable", None, Unanswered, r"\(503 ServiceUnavailable\)"),
    (504, "GatewayTimeout", None, Unanswered, r"\(504 GatewayTimeout\)"),
]


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row[0]}-{row[2] or row[1]}")
def test_answers(
    sim: AzureSimulator,
    answering: Answering,
    row: tuple[int, str, str | None, type[DaenaKMSError], str],
) -> None:
    """Each is an error of ours, for reads and writes; codes are told, texts are not."""
    status, code, inner, kind, words = row
    answering.error(status, code, inner)
    used, value = vault(sim), secrets.token_urlsafe()
    for call in (lambda: get(used), lambda: put(used, value)):
        error = failure(call, answering.canary, value)
        assert type(error) is kind
        assert re.search(words, str(error))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>{}</html>", b"[]", b'"{}"', b'{"error": "{}"}', b'{"error": {"code": ["{}"]}}'],
    ids=["empty", "a proxy's page", "list", "text", "no object", "no code"],
)
@pytest.mark.parametrize("status", [400, 403, 409, 502])
def test_answers_of_another_form(
    sim: AzureSimulator, answering: Answering, status: int, body: bytes
) -> None:
    """A firewall's or proxy's own page is judged by its status, and nothing of it is repeated."""
    filled = body.replace(b"{}", answering.canary.encode())
    headers = {"Content-Type": "application/json"}
    answering.response = Response(status, filled, headers)
    kinds = {400: ConfigError, 403: AccessDenied, 409: RotationConflict, 502: Unanswered}
    assert type(failure(lambda: get(vault(sim)), answering.canary)) is kinds[status]


@pytest.mark.parametrize("body", [b"", b"<html>%s</html>"], ids=["empty", "html"])
def test_a_success_that_is_none(sim: AzureSimulator, answering: Answering, body: bytes) -> None:
    """What is no answer of a vault's leaves open whether a set took effect."""
    filled = body.replace(b"%s", answering.canary.encode())
    answering.response = Response(200, filled, {"Content-Type": "application/json"})
    used = vault(sim)
    assert isinstance(
        failure(lambda: put(used, secrets.token_urlsafe()), answering.canary), Unanswered
    )


def test_a_code_is_a_word(sim: AzureSimulator, answering: Answering) -> None:
    """What stands where a code belongs is cut down to letters and digits, and to a length."""
    answering.error(400, "<b>" + "x" * 500)
    text = str(failure(lambda: get(vault(sim)), answering.canary))
    assert f"(400 b{'x' * 59})" in text


@pytest.mark.parametrize(
    ("header", "after"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999", 99999.0),
        ("100000", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
        (None, None),
    ],
    ids=str,
)
def test_when_a_throttled_vault_may_be_asked_again(
    sim: AzureSimulator, answering: Answering, header: str | None, after: float | None
) -> None:
    """As its header says in whole seconds; of anything else nothing is believed."""
    given = {} if header is None else {"Retry-After": header}
    if header == "²":
        given = {"Retry-After": "\xb2"}
    answering.error(429, "Throttled", None, given)
    error = failure(lambda: put(vault(sim), secrets.token_urlsafe()))
    assert isinstance(error, Throttled)
    assert error.after == after


def test_a_read_is_repeated_by_the_sdk(sim: AzureSimulator) -> None:
    """A throttled or failed read is asked again, as often as the SDK's own settings say."""
    used = vault(sim, retry_total=3, retry_backoff_factor=0)
    sim.faults.throttle(1)
    sim.faults.fail_before(3, how="error")
    for _ in range(2):
        assert get(used)
    assert [call.outcome for call in sim.calls] == ["Throttled", "ok", "failed before", "ok"]


@pytest.mark.parametrize("how", ["drop", "error"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_a_set(sim: AzureSimulator, how: str, when: str) -> None:
    """It may have taken effect or not; it was sent once."""
    used, value = vault(sim, retry_total=3), secrets.token_urlsafe()
    plan = sim.faults.fail_before if when == "before" else sim.faults.fail_after
    plan(how=how)
    assert isinstance(failure(lambda: put(used, value), value), Unanswered)
    assert sim.calls.operations() == ["SetSecret"]
    assert (sim.secrets.version("key").value == value) is (when == "after")


def test_a_vault_that_hangs_is_given_up(sim: AzureSimulator) -> None:
    """A call ends within its bounds, which are far below a function's own limit."""
    sim.faults.hang()
    error = failure(lambda: get(vault(sim)))
    assert isinstance(error, Unanswered)
    assert "did not answer (ServiceResponseTimeoutError)" in str(error)
    assert BOUNDS["timeout"] <= 60


def test_pages_are_mapped_too(sim: AzureSimulator) -> None:
    """A listing goes on over its pages; an error on any of them is ours and ends it."""
    sim.seed(60)
    used = vault(sim)

    def listing() -> list[str]:
        return [p.name for p in used.pages("key", lambda c: c.list_properties_of_secrets())]

    assert len(listing()) == 61
    sim.faults.fail_before(2, how="error")
    assert isinstance(failure(listing), Unanswered)
    sim.faults.deny("GetSecrets")
    assert isinstance(failure(listing), AccessDenied)


def test_a_defect_is_not_hidden(sim: AzureSimulator) -> None:
    """What is no error of the SDK shows as what it is."""

    def broken(_client: object) -> object:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        vault(sim).call("key", broken)


def test_every_kind_is_worth_a_retry_or_not() -> None:
    """What may have been done, and what was not done, are both told apart from a refusal."""
    assert issubclass(Throttled, StoreUnavailable)
    assert issubclass(Unanswered, StoreUnavailable)
    assert not issubclass(Throttled, Unanswered)
