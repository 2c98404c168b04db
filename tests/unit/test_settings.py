"""What the environment says, and which provider it points to."""

import getpass
import secrets
import socket
from pathlib import Path
from typing import NoReturn

import pytest
from daena_kms.errors import ConfigError
from daena_kms.settings import PROVIDERS, Settings, check_provider

from tests.unit.keys import DAY

WHICH = "it is not clear which provider to use: "
HINTS = {
    "aws": "AWS_KMS_KEY_ID",
    "azure": "AZURE_KEY_VAULT_URL",
    "gcp": "GCP_PROJECT_ID",
    "local": "DAENA_KMS_HOME",
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_named_provider_is_used(name: str) -> None:
    """The variable decides, whatever else is set."""
    environ = {"DAENA_CLOUD_KMS_PROVIDER": name} | dict.fromkeys(HINTS.values(), "x")
    assert Settings.load(environ).provider == name
    assert check_provider(name) == name


@pytest.mark.parametrize(("name", "variable"), HINTS.items())
def test_one_hint_is_enough(name: str, variable: str) -> None:
    """Without a name the only provider that is configured is used; empty counts as not set."""
    empty = dict.fromkeys(("DAENA_CLOUD_KMS_PROVIDER", *HINTS.values()), "")
    assert Settings.load({**empty, variable: "x"}).provider == name


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, "none is set"),
        ({"AWS_REGION": "eu-central-1"}, "none is set"),
        (
            {"AWS_KMS_KEY_ID": "x", "DAENA_KMS_HOME": "y"},
            "the environment points to aws and local",
        ),
    ],
)
def test_an_unclear_provider_is_asked_for(environ: dict[str, str], found: str) -> None:
    """Where none or several are configured, nobody guesses."""
    with pytest.raises(ConfigError) as refused:
        _ = Settings.load(environ).provider
    assert refused.value.what == WHICH + found
    todo = "Set DAENA_CLOUD_KMS_PROVIDER, or pass one of aws, azure, gcp, local"
    assert refused.value.todo == todo


@pytest.mark.parametrize("name", ["", "AWS", "aws ", "vault", "x" * 1000])
def test_an_unknown_provider_is_refused(name: str) -> None:
    """The refusal names those there are."""
    with pytest.raises(ConfigError) as refused:
        check_provider(name)
    text = f"{name[:40]!r} is not a provider. Use one of aws, azure, gcp, local"
    assert str(refused.value) == text
    if name:
        with pytest.raises(ConfigError, match="is not a provider"):
            _ = Settings.load({"DAENA_CLOUD_KMS_PROVIDER": name}).provider


@pytest.mark.parametrize(
    ("name", "variable", "what"),
    [
        ("home", "DAENA_KMS_HOME", "the local store has no folder"),
        (
            *("audit_url", "DAENA_KMS_AUDIT_URL"),
            "no audit log is set, and nothing changes without one",
        ),
    ],
)
def test_what_must_be_set_is_asked_for(name: str, variable: str, what: str) -> None:
    """A missing setting is named, with what to set; an empty one counts as missing."""
    for environ in ({}, {variable: ""}):
        with pytest.raises(ConfigError) as refused:
            getattr(Settings.load(environ), name)
        assert refused.value.what == what
        assert variable in (refused.value.todo or "")


def test_settings_are_what_the_environment_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are returned as they stand, the home folder's tilde apart."""
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", "s3://bucket/prefix")
    monkeypatch.setenv("DAENA_KMS_GRACE", "2d")
    settings = Settings.load()
    assert settings.audit_url == "s3://bucket/prefix"
    assert settings.defaults.grace == 2 * DAY
    assert Settings.load({"DAENA_KMS_HOME": "~/keys"}).home == Path.home() / "keys"
    assert settings.get("DAENA_KMS_NOTHING") is None


def test_who_runs_this_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator is the one that is named, or the user at this machine, or the user's number."""
    assert Settings.load({"DAENA_OPERATOR": "alice"}).operator == "alice"
    here = socket.gethostname()
    monkeypatch.setattr(getpass, "getuser", lambda: "bob")
    assert Settings.load({}).operator == f"bob@{here}"
    assert Settings.load({"DAENA_OPERATOR": ""}).operator == f"bob@{here}"

    def nobody() -> NoReturn:
        raise KeyError("no such user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert Settings.load({}).operator == f"uid 4711@{here}"


@pytest.mark.parametrize(
    ("claims", "audit", "place"),
    [
        ("az://other/c/d", "az://account/audit", "az://other/c/d"),
        ("az://other/c", "", "az://other/c"),
        ("", "az://account/audit", "az://account/claims"),
        ("", "az://account/audit/some/where", "az://account/claims"),
        (
            "",
            "az://account.blob.core.usgovcloudapi.net/audit",
            "az://account.blob.core.usgovcloudapi.net/claims",
        ),
    ],
)
def test_where_rotations_are_claimed(claims: str, audit: str, place: str) -> None:
    """Where it is set, or else in the account of the audit log, in a container of its own."""
    environ = {"DAENA_KMS_CLAIMS_URL": claims, "DAENA_KMS_AUDIT_URL": audit}
    assert Settings.load(environ).claims_url == place


@pytest.mark.parametrize("audit", ["", "az://account", "s3://bucket/x", "file:///x", "az:///x"])
def test_no_place_for_claims(audit: str) -> None:
    """A log elsewhere says nothing of where claims could be."""
    with pytest.raises(ConfigError, match=r"no place for claims.*Set DAENA_KMS_CLAIMS_URL"):
        _ = Settings.load({"DAENA_KMS_AUDIT_URL": audit}).claims_url


@pytest.mark.parametrize("url", ["file:///claims", "s3://bucket/claims", "claims", "/" * 999])
def test_claims_that_nobody_shares(url: str) -> None:
    """A folder of this machine would let two machines rotate at once."""
    with pytest.raises(ConfigError, match=r"DAENA_KMS_CLAIMS_URL is .*az://account/claims") as no:
        _ = Settings.load({"DAENA_KMS_CLAIMS_URL": url}).claims_url
    assert len(str(no.value)) < 250


@pytest.mark.parametrize(
    ("text", "flag"), [("true", True), ("false", False), ("", False), (None, False)]
)
def test_a_flag(text: str | None, flag: bool) -> None:
    """It is off unless it is switched on."""
    environ = {} if text is None else {"DAENA_KMS_EXPIRE": text}
    assert Settings.load(environ).flag("DAENA_KMS_EXPIRE") is flag


@pytest.mark.parametrize("text", ["True", "1", "yes", "on", " true", "-" * 99])
def test_a_flag_that_is_none(text: str) -> None:
    """Nobody guesses what was meant."""
    with pytest.raises(ConfigError, match=r"DAENA_KMS_EXPIRE is .*Write true or false") as refused:
        Settings.load({"DAENA_KMS_EXPIRE": text}).flag("DAENA_KMS_EXPIRE")
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("600", 600), ("0600", 600), ("9999999", 9_999_999), ("", None)]
)
def test_a_number(text: str, number: int | None) -> None:
    """A whole number over 0, or nothing."""
    assert Settings.load({"GCP_WRITES_PER_MINUTE": text}).number("GCP_WRITES_PER_MINUTE") == number
    assert Settings.load({}).number("GCP_WRITES_PER_MINUTE") is None


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "²", "٣", "10000000", "1" * 99, " 1"])
def test_a_number_that_is_none(text: str) -> None:
    """It is named, and a long one is cut."""
    with pytest.raises(ConfigError, match=r"GCP_WRITES_PER_MINUTE is .*over 0") as refused:
        Settings.load({"GCP_WRITES_PER_MINUTE": text}).number("GCP_WRITES_PER_MINUTE")
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DAENA_KMS_MASTER_KEY", secrets.token_urlsafe()),
        ("DAENA_KMS_ENDPOINT", f"https://host/{secrets.token_urlsafe()}"),
        ("DAENA_KMS_AUDIT_URL", f"az://user:{secrets.token_urlsafe()}@account/c?sig=x"),
        ("AZURE_CLIENT_SECRET", secrets.token_urlsafe()),
        ("ANYTHING_ELSE", secrets.token_urlsafe()),
    ],
    ids=range(5),
)
def test_its_form_in_text_holds_no_value(name: str, value: str) -> None:
    """Neither as text, nor as repr, nor in what holds it."""
    settings = Settings.load({name: value, "PATH": "/bin"})
    shown = f"{settings!r} {settings} {[settings]} {settings.environ.keys()}"
    assert value not in shown
    assert repr(settings) == "Settings(2 variables)"
