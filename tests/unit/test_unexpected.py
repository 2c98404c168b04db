"""Errors that nobody foresaw pass on neither their text nor what they hold."""

import secrets
import traceback

import pytest
from daena_kms.api.messages import Request
from daena_kms.audit import open_log
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import ConfigError, DaenaKMSError, contained, unexpected
from daena_kms.stores.local.store import LocalStore

VALUE = secrets.token_hex()


def fail(error: BaseException) -> object:
    """Raise it."""
    raise error


@pytest.mark.parametrize(
    "error",
    [KeyError(VALUE), ValueError(VALUE, VALUE), OSError(2, VALUE), MemoryError(VALUE)],
    ids=lambda error: type(error).__name__,
)
def test_only_the_type_and_the_place_pass(error: Exception) -> None:
    """Nothing of it is in the text, the arguments, the context or the traceback of ours."""
    with pytest.raises(DaenaKMSError) as raised:
        contained(fail)(error)
    assert (
        raised.value.what == f"an unexpected {type(error).__name__} at daena_kms.errors:{_line()}"
    )
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert VALUE not in "".join(traceback.format_exception(raised.value))
    assert VALUE not in repr(raised.value)


def _line() -> str:
    with pytest.raises(DaenaKMSError) as raised:
        contained(fail)(ZeroDivisionError())
    return raised.value.what.rpartition(":")[2]


def test_our_own_errors_and_the_end_of_a_process_pass() -> None:
    """They are what they were, and results as well."""
    for error in (ConfigError("what", todo="todo"), KeyboardInterrupt(), SystemExit(1)):
        with pytest.raises(type(error)) as raised:
            contained(fail)(error)
        assert raised.value is error
    assert contained(len)("abc") == 3


def test_an_error_that_was_never_raised_has_no_place() -> None:
    """It came from no line of ours."""
    assert unexpected(ValueError(VALUE)).what == "an unexpected ValueError"


def test_a_run_raises_only_errors_of_ours(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function's platform logs the text and the traceback of what its handler raises."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setattr(LocalStore, "scan", lambda _: fail(KeyError(VALUE)))
    with pytest.raises(DaenaKMSError, match=r"an unexpected KeyError at daena_kms\.") as raised:
        run(LocalAdapter(folder / "home"), open_log((folder / "log").as_uri()))
    assert VALUE not in "".join(traceback.format_exception(raised.value))


def test_a_request_in_text_holds_no_body_and_no_header() -> None:
    """One of them may be the caller's token."""
    asked = Request("POST", "/v1/keys", VALUE, "me", headers={"authorization": VALUE})
    assert VALUE not in f"{asked!r} {asked}"
