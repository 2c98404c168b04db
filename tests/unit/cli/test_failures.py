"""What goes wrong, in words and exit statuses: 1 something failed, 2 bad usage."""

import json
from pathlib import Path

import pytest
import typer
from daena_kms import errors
from daena_kms.cli.common import reporting
from daena_kms.errors import ConfigError, DaenaKMSError, InvalidKeyId

from tests.unit.cli.shell import Shell

ERRORS = sorted(
    (k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, DaenaKMSError)),
    key=lambda kind: kind.code,
)
USAGE = {ConfigError, InvalidKeyId}


def test_every_error_has_a_code_of_its_own() -> None:
    """Machines tell them apart by the code."""
    assert len({kind.code for kind in ERRORS}) == len(ERRORS) == 12


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_ends_a_command_with_its_message(
    kind: type[DaenaKMSError], capsys: pytest.CaptureFixture[str]
) -> None:
    """In words on standard error, or as a document with the code on standard output."""
    message = "key 'key': [red]it[/red] went wrong. Mend it"
    for as_json in (False, True):
        with pytest.raises(typer.Exit) as ended, reporting(as_json=as_json):
            raise kind("[red]it[/red] went wrong", key_id="key", todo="Mend it")
        shown = capsys.readouterr()

        assert ended.value.exit_code == (2 if kind in USAGE else 1)
        if as_json:
            assert json.loads(shown.out) == {"error": {"error": kind.code, "message": message}}
            assert shown.err == ""
        else:
            assert (shown.out, shown.err) == ("", f"Error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["rotate", "missing"], 1, "there is no such key"),
        (["show", "missing"], 1, "there is no such key"),
        (["show", "missing", "--reveal"], 1, "there is no such key"),
        (["show", "key", "--reveal", "--version", "previous"], 1, "no readable previous version"),
        (["show", "key", "--reveal", "--version", "1"], 2, "'1' is not a version id"),
        (["create", "key"], 1, "it exists already"),
        (["create", "UPPER"], 2, "'UPPER' is not a key id"),
        (["create", "a/b"], 2, "'a/b' is not a key id"),
        (["create", ""], 2, "'' is not a key id"),
        (["create", "schlüssel"], 2, "'schlüssel' is not a key id"),
        (["create", "a\tb"], 2, r"'a\tb' is not a key id"),
        (["create", "k" * 101], 2, "is not a key id"),
        (["create", "key-"], 2, "'key-' is not a key id"),
        (["rotate", "key", "UPPER"], 2, "'UPPER' is not a key id"),
        (["create", "new", "--spec", "des"], 2, "daena.spec is 'des', which is not a key spec"),
        (["create", "new", "--spec", "password:length=3"], 2, "length='3'"),
        (["create", "new", "--rotate-after", "90"], 2, "daena.rotate-after is '90'"),
        (["create", "new", "--rotate-after", "-1d"], 2, "daena.rotate-after is '-1d'"),
        (["create", "new", "--rotate-after", "1y2"], 2, "daena.rotate-after is '1y2'"),
        (["create", "new", "--rotate-after", "never"], 2, "daena.rotate-after is 'never'"),
        (["create", "new", "--grace", "1h"], 2, "It must be at least 1d"),
        (["create", "new", "--destroy-after", "10d"], 2, "would be destroyed inside their grace"),
        (["create", "new", "--keep", "1"], 2, "daena.keep is '1'"),
        (["adopt", "key", "--spec", "aes-256"], 1, "it is already managed"),
        (["adopt", "new", "--spec", "token", "--first-due", "soon"], 2, "daena.first-due"),
        (["audit", "log", "--key", "App_Key"], 2, "'App_Key' is not a key id"),
        (["audit", "log", "--key", ""], 2, "'' is not a key id"),
        (["audit", "log", "--since", "yesterday"], 2, "--since is 'yesterday'"),
        (["audit", "verify", "--since", "yesterday"], 2, "'yesterday' is not a closing record"),
        (["plan", "--provider", "ibm"], 2, "'ibm' is not a provider"),
        (["plan", "--provider", "azure"], 2, "no Key Vault is set"),
        (["demo", "mars"], 2, "'mars' is not a part of the demo"),
    ],
)
def test_a_refusal_says_what_and_what_next(
    shell: Shell, arguments: list[str], status: int, words: str
) -> None:
    """One line on standard error, the same text in JSON, and nothing of it a traceback."""
    shell.create("key")

    result = shell.run(*arguments)

    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    if arguments[:1] == ["rotate"] and status == 1:
        assert words in result.stdout  # a key that failed stands in the table
        assert words in json.dumps(shell.json(*arguments, status=status))
        return
    assert words in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    if arguments[0] != "demo":
        document = shell.json(*arguments, status=status)
        assert words in document["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["audit"],
        ["nonsense"],
        ["create"],
        ["adopt", "key"],
        ["rotate", "--nonsense"],
        ["create", "key", "--keep", "many"],
        ["show", "key", "other"],
    ],
)
def test_bad_usage_ends_with_2(shell: Shell, arguments: list[str]) -> None:
    """A missing or unknown command, argument or option."""
    result = shell.run(*arguments)

    assert result.exit_code == 2
    assert "Usage: " in result.output


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "the value has 0 bytes"),
        (b"x" * 25_001, "the value has more than 25000 bytes"),
        ("ü".encode() * 12_501, "the value has more than 25000 bytes"),
        (b"\xff\xfe", "not UTF-8 text"),
    ],
    ids=["nothing", "too long", "too long in bytes", "binary"],
)
def test_a_value_that_no_store_holds_is_refused(shell: Shell, value: bytes, words: str) -> None:
    """Before any call, and the value is not shown."""
    done = shell.process("create", "key", "--value-stdin", given=value)

    assert (done.returncode, done.stdout) == (2, b"")
    assert words in done.stderr.decode()
    assert len(done.stderr) < 300
    assert shell.json("list") == {"keys": []}


@pytest.mark.parametrize(
    ("variable", "value", "command", "words"),
    [
        ("DAENA_KMS_HOME", "", "plan", "it is not clear which provider to use"),
        ("DAENA_CLOUD_KMS_PROVIDER", "ibm", "list", "'ibm' is not a provider"),
        ("DAENA_KMS_AUDIT_URL", "", "rotate", "no audit log is set"),
        ("DAENA_KMS_AUDIT_URL", "", "audit log", "no audit log is set"),
        ("DAENA_KMS_AUDIT_URL", "", "create new", "no audit log is set"),
        ("DAENA_KMS_AUDIT_URL", "ftp://host/a", "rotate", "is not an address of the audit log"),
        ("DAENA_KMS_AUDIT_URL", "az://account", "rotate", "is not an address of the audit log"),
        ("DAENA_KMS_AUDIT_URL", "file://host/a", "audit verify", "does not name a folder"),
        ("DAENA_KMS_MASTER_KEY", "short", "show key --reveal", "DAENA_KMS_MASTER_KEY"),
        ("DAENA_KMS_ROTATE_AFTER", "90", "plan", "DAENA_KMS_ROTATE_AFTER is '90'"),
        ("DAENA_KMS_GRACE", "1h", "plan", "DAENA_KMS_GRACE is 1h"),
        (
            "AZURE_KEY_VAULT_URL",
            "my-vault",
            "plan --provider azure",
            "and a host, and nothing else",
        ),
        ("GCP_PROJECT_ID", "My Project", "plan --provider gcp", "'My Project' is not a project"),
        ("GCP_LOCATION", "Europe", "plan --provider gcp", "'Europe' is not a location"),
    ],
)
def test_a_setting_that_is_wrong_is_named(
    shell: Shell, variable: str, value: str, command: str, words: str
) -> None:
    """Bad configuration is bad usage, and nothing changes."""
    shell.create("key")
    shell.environment = {**shell.environment, variable: value}

    result = shell.run(*command.split())

    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


@pytest.mark.parametrize("part", ["access key", "profile", "region"])
def test_aws_without_an_account_is_named(shell: Shell, part: str) -> None:
    """No credentials, an unknown profile or no region: the message says what to set."""
    settings = {"DAENA_CLOUD_KMS_PROVIDER": "aws", "AWS_REGION": "eu-central-1"}
    if part == "profile":
        settings["AWS_PROFILE"] = "there-is-none"
    if part == "region":
        del settings["AWS_REGION"]
    shell.environment = {**shell.environment, **settings}

    result = shell.run("plan")

    assert result.exit_code == 2
    assert ("Set AWS_REGION" if part == "region" else "Check the credentials") in result.stderr


def test_a_failing_key_fails_the_run_and_not_the_others(shell: Shell) -> None:
    """Exit status 1, the reason beside the key, the other key rotated."""
    shell.create("good", "broken", days=91)
    store = shell.adapter.store
    store.tag(store.describe("broken"), {"daena.rotate-after": "often"})

    result = shell.run("rotate")
    document = shell.json("rotate", status=1)

    assert result.exit_code == 1
    assert "daena.rotate-after is 'often'" in result.stdout
    assert "1 rotated, 1 failed; 2 keys looked at" in result.stdout
    assert document["errors"]["broken"]["error"] == "config-error"
    assert document["rotated"] == []


def test_a_log_that_can_not_be_written_stops_everything(shell: Shell, tmp_path: Path) -> None:
    """No change without a durable intent, for a run and for a single key."""
    shell.create("due", days=91)
    (tmp_path / "file").write_text("")
    shell.environment = {**shell.environment, "DAENA_KMS_AUDIT_URL": f"file://{tmp_path}/file/log"}

    for command in (["rotate"], ["rotate", "due"], ["create", "new"]):
        result = shell.run(*command)

        assert result.exit_code == 1
        assert "the audit log file:///" in result.stderr
    assert len(shell.adapter.store.describe("due").versions) == 1
    assert shell.adapter.list_keys() == ["due"]


LONG = "x" * 501


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "new"],
        ["adopt", "other", "--spec", "token", "--yes"],
        ["rotate", "key", "--yes"],
        ["rotate", "key", "--compromised", "--yes"],
        ["hold", "key"],
        ["release", "key"],
        ["rollback", "key", "--yes"],
        ["delete", "key", "--yes"],
        ["restore", "key"],
        ["policy", "set", "key", "--grace", "48h", "--yes"],
    ],
    ids=lambda arguments: "-".join(a.lstrip("-") for a in arguments),
)
def test_a_reason_is_as_long_as_over_http(shell: Shell, arguments: list[str]) -> None:
    """Every command refuses a longer one before anything is changed or logged."""
    shell.create("key")
    before = len(shell.log.entries("log/"))
    result = shell.run(*arguments, "--reason", LONG)
    assert result.exit_code == 2
    assert "--reason has 501 characters, and the most are 500. Shorten it" in result.stderr
    assert len(shell.log.entries("log/")) == before


def test_the_longest_reason_is_taken(shell: Shell) -> None:
    """It stands in the log as it was given."""
    shell.create("key")
    assert shell.run("hold", "key", "--reason", LONG[1:]).exit_code == 0
    assert shell.json("audit", "log")["entries"][-1]["reason"] == LONG[1:]


@pytest.mark.parametrize("variable", ["TERM=xterm", "FORCE_COLOR=1", "COLUMNS=60"])
def test_a_message_in_a_pipe_is_one_line(shell: Shell, variable: str) -> None:
    """However long it is, and whatever the variables say of a terminal."""
    file = shell.folder / ("d" * 220)
    file.touch()
    name, _, value = variable.partition("=")
    shell.environment = {**shell.environment, "DAENA_KMS_HOME": str(file), name: value}
    result = shell.process("list")
    assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)
    assert str(file).encode() in result.stderr
