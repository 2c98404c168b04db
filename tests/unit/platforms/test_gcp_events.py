"""Who calls a function on Google Cloud, and how long it may work."""

import pytest
from daena_kms.errors import ConfigError
from daena_kms.platforms.gcp import ANSWER, RUN, google_caller, seconds_left
from hypothesis import given
from hypothesis import strategies as st

from tests.functions.gcp_world import checked_token, encoded

CHECKED = {"GCP_INVOKER_IAM_CHECK": "true"}
OTHER = "X-Serverless-Authorization"


def who(**headers: str) -> str | None:
    """Who calls, behind the IAM check; underscores stand for hyphens."""
    return google_caller({n.replace("_", "-"): t for n, t in headers.items()}.get, CHECKED)


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({"email": "a@example.com", "sub": "1"}, "a@example.com"),
        ({"sub": "103547991597142817347"}, "103547991597142817347"),
        ({"email": "", "sub": "1"}, "1"),
        ({"email": ["a"], "sub": "1"}, "1"),
        ({"email": "x" * 300}, "x" * 200),
        ({"aud": "a"}, None),
        ({"email": None}, None),
        ({"email": "a@example.com", "iss": "https://accounts.google.com"}, "a@example.com"),
        ({"email": "a@example.com", "iss": "accounts.google.com"}, "a@example.com"),
        ({"email": "a@example.com", "sub": "1", "iss": "https://a.example"}, "https://a.example 1"),
        ({"email": "a@example.com", "iss": "https://a.example"}, None),
        ({"email": "a@example.com", "sub": "1", "iss": "https://a.example/ 1"}, None),
    ],
    ids=range(12),
)
def test_the_checked_token_says_who(claims: dict[str, object], found: str | None) -> None:
    """By the account's address, or by its number in a token without one."""
    assert who(Authorization=checked_token(**claims)) == found
    assert who(Authorization=checked_token(**claims).replace("Bearer", "bearer")) == found


def test_of_two_tokens_the_checked_one_counts() -> None:
    """Cloud Run checks only the second header then, and passes the first on as it came."""
    mine, forged = checked_token(email="me"), checked_token(email="root")

    assert who(X_Serverless_Authorization=mine) == "me"
    assert who(X_Serverless_Authorization=mine, Authorization=forged) == "me"
    assert who(X_Serverless_Authorization="", Authorization=forged) is None
    assert who(X_Serverless_Authorization="Bearer a.b.c", Authorization=forged) is None


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        checked_token(),
        checked_token() + " ",
        checked_token() + "," + checked_token(),
        checked_token().removeprefix("Bearer "),
        checked_token().replace("SIGNATURE_REMOVED_BY_GOOGLE", "c2lnbmF0dXJl"),
        checked_token().replace("SIGNATURE_REMOVED_BY_GOOGLE", ""),
        checked_token().replace(".", "", 1),
        f"Bearer {encoded({})}.{encoded([])}.SIGNATURE_REMOVED_BY_GOOGLE",
        f"Bearer a.{encoded({'email': 'x'})[:-2]}.SIGNATURE_REMOVED_BY_GOOGLE",
        "Bearer a._w.SIGNATURE_REMOVED_BY_GOOGLE",
        "Bearer a.b.SIGNATURE_REMOVED_BY_GOOGLE",
    ],
    ids=range(14),
)
def test_anything_else_names_nobody(given: str | None) -> None:
    """A token that was not checked, or none; only the fourth is one, where IAM decides."""
    headers = {} if given is None else {"Authorization": given}

    assert google_caller(headers.get, {}) is None
    assert google_caller(headers.get, {"GCP_INVOKER_IAM_CHECK": "false"}) is None
    checked = google_caller(headers.get, CHECKED)
    assert (checked is None) is (given != checked_token())


@given(st.text() | st.binary().map(lambda raw: f"Bearer a.{raw.hex()}.SIGNATURE_REMOVED_BY_GOOGLE"))
def test_no_header_breaks_it(given: str) -> None:
    """Whatever it holds."""
    assert google_caller({"Authorization": given}.get, CHECKED) is None


@pytest.mark.parametrize(
    ("most", "configured", "left"),
    [
        (RUN, None, 510),
        (RUN, "3600", 510),
        (RUN, "540", 510),
        (RUN, "60", 45),
        (RUN, "1", 0.75),
        (ANSWER, None, 170),
        (ANSWER, "60", 45),
    ],
)
def test_a_run_ends_before_its_function(most: int, configured: str | None, left: float) -> None:
    """By the shorter of the platform's limit and ours, less what closing takes."""
    environ = {} if configured is None else {"CLOUD_RUN_TIMEOUT_SECONDS": configured}

    assert seconds_left(most, environ) == left


def test_a_setting_that_is_none_is_named() -> None:
    """Rather than taken for false."""
    with pytest.raises(ConfigError, match="GCP_INVOKER_IAM_CHECK is 'True'"):
        google_caller(lambda _: None, {"GCP_INVOKER_IAM_CHECK": "True"})
