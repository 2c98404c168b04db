"""Variables that are empty, or have quotes, spaces or line ends around them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from daena_kms.api.access import Access
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import ConfigError
from daena_kms.settings import Environment, Settings, drop_empty, what_is_wrong
from hypothesis import given
from hypothesis import strategies as st

CANARY = "c4naRy"
PLAIN = (
    *("AWS_REGION", "AWS_PROFILE", "AWS_KMS_KEY_ID", "AZURE_KEY_VAULT_URL", "AZURE_TENANT_ID"),
    *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "GCP_PROJECT_ID", "GCP_LOCATION"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "DAENA_KMS_AUDIT_URL", "DAENA_KMS_CLAIMS_URL"),
    *("DAENA_KMS_HOME", "DAENA_KMS_MASTER_KEY", "DAENA_KMS_ENDPOINT"),
    *("DAENA_OPERATOR", "DAENA_KMS_ROTATE_AFTER", "AZURE_STORAGE_ACCOUNT_KEY"),
)
MANY_LINES = ("DAENA_KMS_ACCESS", "DAENA_KMS_SIGNING_KEY", "DAENA_KMS_ENDPOINT_SECRET")
ODD = {
    "double quotes": '"{0}"',
    "single quotes": "'{0}'",
    "typographic quotes": "\u201c{0}\u201d",
    "a quote at the end": '{0}"',
    "a space before": " {0}",
    "a space behind": "{0} ",
    "a tab": "{0}\t",
    "a space that does not break": "{0}\u00a0",
    "a space without width": "{0}\u200b",
    "a byte order mark": "\ufeff{0}",
    "a carriage return": "{0}\r",
    "lines of Windows": "{0}\r\n",
    "a carriage return inside": "{0}\r{0}",
    "a space alone": " ",
}
ONE_LINE = {
    "a line end": "{0}\n",
    "two lines": "{0}\n{0}",
    "a control": "{0}\x1b[2J{0}",
    "a line separator": "{0}\u2028{0}",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", [*PLAIN, *MANY_LINES])
def test_what_stands_around_a_value_is_refused_by_name(name: str, text: str) -> None:
    """The message names the variable, and never quotes the value: it may be secret."""
    settings = Settings.load({name: text.format(CANARY)})
    with pytest.raises(ConfigError, match=name) as refused:
        settings.get(name)
    assert CANARY not in str(refused.value)
    assert f"Set {name} to the value alone" in str(refused.value)


@pytest.mark.parametrize("text", ONE_LINE.values(), ids=ONE_LINE)
@pytest.mark.parametrize("name", PLAIN)
def test_a_value_of_one_line_has_no_line_end(name: str, text: str) -> None:
    """It would go into a header, a name or a path."""
    with pytest.raises(ConfigError, match=name) as refused:
        Settings.load({name: text.format(CANARY)}).get(name)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("name", MANY_LINES)
def test_json_and_pem_may_have_lines(name: str) -> None:
    """As they come from a file, with a line end behind them."""
    text = "-----BEGIN\n\tx\n-----END\n"
    assert Settings.load({name: text}).get(name) == text
    with pytest.raises(ConfigError, match=name):
        Settings.load({name: "\n\n"}).get(name)


@pytest.mark.parametrize(
    "text",
    ["7d", "a b", "it's", 'say "x" now', "ä", "a\u00a0b", "/x y/z", "~/keys", "[]", "=", "-"],
)
def test_what_stands_inside_a_value_stays(text: str) -> None:
    """A folder's name may have a space, an operator's name a quote."""
    assert Settings.load({"DAENA_OPERATOR": text}).get("DAENA_OPERATOR") == text


@given(st.text())
def test_any_value_is_taken_as_it_is_or_refused(text: str) -> None:
    """There is no third way: nothing is cut off, and no other error comes out."""
    settings = Settings.load({"DAENA_OPERATOR": text})
    try:
        found = settings.get("DAENA_OPERATOR")
    except ConfigError:
        assert what_is_wrong("DAENA_OPERATOR", text)
    else:
        assert found == (text or None)
        assert text == text.strip()
        assert "\r" not in text


READ: dict[str, Callable[[Settings], object]] = {
    "DAENA_KMS_AUDIT_URL": lambda s: s.audit_url,
    "DAENA_KMS_CLAIMS_URL": lambda s: s.claims_url,
    "DAENA_KMS_HOME": lambda s: s.home,
    "DAENA_KMS_GRACE": lambda s: s.defaults,
    "DAENA_KMS_ROTATE_AFTER": lambda s: s.defaults,
    "DAENA_KMS_DESTROY_AFTER": lambda s: s.defaults,
    "DAENA_KMS_MIN_INTERVAL": lambda s: s.min_interval,
    "DAENA_KMS_PAUSED": lambda s: s.paused,
    "DAENA_KMS_ACCESS": Access.load,
    "DAENA_CLOUD_KMS_PROVIDER": lambda s: s.provider,
    "DAENA_OPERATOR": lambda s: s.operator,
    "GCP_WRITES_PER_MINUTE": lambda s: s.number("GCP_WRITES_PER_MINUTE"),
}


@pytest.mark.parametrize("value", ['"7d"', " 7d", "7d\r", "'local'", "true\r", "\u00a0"])
@pytest.mark.parametrize("name", READ)
def test_however_it_is_read(name: str, value: str) -> None:
    """Each way to a setting refuses it, and names the variable."""
    with pytest.raises(ConfigError, match=name):
        READ[name](Settings({name: value}))


def test_empty_variables_are_not_there() -> None:
    """Neither one by one, nor when they are listed or counted."""
    environ = Environment({"A": "", "B": "b"})
    assert (environ.get("A"), environ.get("B"), "A" in environ) == (None, "b", False)
    assert (list(environ), len(environ), dict(environ)) == (["B"], 1, {"B": "b"})
    assert "b" not in repr(Environment({"secret": "b"})).replace("variables", "")
    settings = Settings.load({"DAENA_KMS_ACCESS": ""})
    assert settings.is_empty("DAENA_KMS_ACCESS")
    assert not Settings.load({}).is_empty("DAENA_KMS_ACCESS")


def test_a_process_of_ours_drops_what_is_empty() -> None:
    """Of the SDKs' variables alone; proxies, where empty means something, and ours stay."""
    gone = dict.fromkeys(
        (
            *("AWS_PROFILE", "AWS_CA_BUNDLE", "AZURE_CLIENT_ID", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"),
            *("REQUESTS_CA_BUNDLE", "CLOUDSDK_CONFIG", "IDENTITY_ENDPOINT"),
        ),
        "",
    )
    kept = {"https_proxy": "", "DAENA_KMS_ACCESS": "", "AWS_REGION": "x", "PATH": "", "HOME": "/"}
    environ = {**gone, **kept}
    drop_empty(environ)
    assert environ == kept


def test_settings_leave_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library changes nothing in the process that it is in."""
    monkeypatch.setenv("AWS_PROFILE", "")
    before = dict(os.environ)
    assert Settings.load().get("AWS_PROFILE") is None
    assert dict(os.environ) == before


@pytest.mark.parametrize("home", ["/", "..", "/a/../b", "file:///x", "s3://b", "."])
def test_what_is_no_home(home: str) -> None:
    """A folder of one's own, by its name."""
    with pytest.raises(ConfigError, match=r"DAENA_KMS_HOME is .*Write a path"):
        _ = Settings.load({"DAENA_KMS_HOME": home}).home


def test_a_claims_address_with_a_signature_is_not_quoted() -> None:
    """Somebody copied the address that a portal shows."""
    url = f"https://account.blob.core.windows.net/claims?sig={CANARY}"
    with pytest.raises(ConfigError, match=r"DAENA_KMS_CLAIMS_URL is .*az://account/claims") as no:
        _ = Settings.load({"DAENA_KMS_CLAIMS_URL": url}).claims_url
    assert CANARY not in str(no.value)


def test_a_relative_home_is_the_folder_where_the_process_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another working directory later does not lead to another store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAENA_KMS_HOME", "home")
    assert Settings.load().home == tmp_path / "home"
    adapters = LocalAdapter(), LocalAdapter("home")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    adapters[0].create_key("app-key")
    assert adapters[1].list_keys() == ["app-key"]
    assert list((tmp_path / "elsewhere").iterdir()) == []
