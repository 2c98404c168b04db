"""Each command on a local store: what it does, what it prints for people and for machines."""

import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.errors import RotationConflict
from daena_kms.stores.local.store import LocalStore

from tests.unit.cli.shell import Shell

COMMANDS = {
    *("plan", "rotate", "create", "list", "show", "adopt", "hold", "release", "rollback"),
    *("delete", "restore", "audit", "policy", "demo", "doctor"),
}


def test_help_lists_every_command(shell: Shell) -> None:
    """The installed program's help names the commands and the exit statuses."""
    done = shell.process("--help", COLUMNS="100")
    text = done.stdout.decode()

    assert done.returncode == 0
    assert set(re.findall(r"^  ([a-z]+)  ", text, flags=re.MULTILINE)) == COMMANDS
    assert "Exit status: 0 done, 1 something failed or is wrong, 2 bad usage" in text


@pytest.mark.parametrize("group", [[], ["policy"], ["audit"]], ids=["", "policy", "audit"])
def test_without_arguments_there_is_help(shell: Shell, group: list[str]) -> None:
    """Line by line, as with --help; the exit status says that nothing was done."""
    result, asked = shell.run(*group), shell.run(*group, "--help")
    assert result.exit_code == 2
    assert result.output.strip() == asked.output.strip()
    assert len(result.output.splitlines()) > 5


@pytest.mark.parametrize(
    "command", [*sorted(COMMANDS), "audit log", "audit verify", "policy show", "policy set"]
)
def test_every_command_has_a_help(shell: Shell, command: str) -> None:
    """It says what the command does, and needs no setting."""
    shell.environment = {}

    result = shell.run(*command.split(), "--help")

    assert (result.exit_code, result.stderr) == (0, "")
    assert "Usage: " in result.stdout


def test_create_says_the_version_and_not_the_value(shell: Shell) -> None:
    """A fresh value of the spec and the policy asked for, and a record of it."""
    document = shell.json(
        *("create", "app-token", "--spec", "token", "--rotate-after", "30d", "--grace", "48h"),
        *("--destroy-after", "10d", "--keep", "3", "--reason", "because"),
    )

    key = shell.adapter.store.describe("app-token")
    assert key.current is not None
    assert document == {"key": "app-token", "version": key.current.id}
    assert key.tags == {
        "daena.managed": "true",
        "daena.spec": "token",
        "daena.rotate-after": "30d",
        "daena.grace": "48h",
        "daena.destroy-after": "10d",
        "daena.keep": "3",
    }
    assert shell.json("audit", "log")["entries"][0]["reason"] == "because"


def test_create_in_words(shell: Shell) -> None:
    """For people it is one line."""
    result = shell.run("create", "key")

    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(r"Created key, version daena-\S+\.\n", result.stdout)


def test_plan_shows_why_and_changes_nothing(shell: Shell) -> None:
    """Every managed key has an action and a reason; nothing is written, to the log either."""
    shell.create("due", days=91)
    shell.create("fresh")
    shell.create("held", hold="true")
    objects = len(shell.log.entries("log/"))

    result = shell.run("plan")
    actions = {a["key"]: a for a in shell.json("plan")["actions"]}

    assert {key: a["kind"] for key, a in actions.items()} == {
        "due": "rotate",
        "fresh": "nothing",
        "held": "held",
    }
    assert actions["due"]["why"] == "overdue by 1 d: last rotated 91 d ago, rotate-after 90 d"
    for action in actions.values():
        assert f"{action['kind']}" in result.stdout
        assert action["why"].split(", at")[0] in result.stdout
    assert len(shell.log.entries("log/")) == objects


def test_plan_needs_no_audit_log(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only looks needs no address of the log."""
    shell.create("due", days=91)
    monkeypatch.delenv("DAENA_KMS_AUDIT_URL")
    shell.environment = {"DAENA_KMS_HOME": shell.environment["DAENA_KMS_HOME"]}

    assert shell.json("plan")["actions"][0]["kind"] == "rotate"


@pytest.mark.parametrize("command", ["plan", "list"])
def test_an_empty_store_is_no_error(shell: Shell, command: str) -> None:
    """Plan tells a newcomer what to do first."""
    result = shell.run(command)

    assert result.exit_code == 0
    assert (command == "plan") == ("Create one with create" in result.stdout)


def test_rotate_does_what_is_due(shell: Shell) -> None:
    """The summary names each key once, and the second run finds nothing."""
    shell.create("due-a", "due-b", days=91)
    shell.create("fresh")
    shell.create("held", days=91, hold="true")
    old = shell.adapter.get_key("due-a")

    summary = shell.json("rotate", "--reason", "quarterly")
    again = shell.run("rotate")

    assert (summary["rotated"], summary["held"]) == (["due-a", "due-b"], ["held"])
    assert shell.adapter.get_key("due-a") != old
    assert shell.adapter.get_key("due-a", "previous") == old
    assert again.exit_code == 0
    assert "1 held; 4 keys looked at" in again.stdout
    assert again.stderr == ""


def test_rotate_in_words(shell: Shell) -> None:
    """The table says what became of each key, and a line counts them."""
    shell.create("due", days=91)

    result = shell.run("rotate")

    assert (result.exit_code, result.stderr) == (0, "")
    assert re.search(r"^due +rotated +version daena-", result.stdout, flags=re.MULTILINE)
    assert re.search(r"\n1 rotated; 1 keys looked at \(run [0-9a-f]{32}\)\n", result.stdout)


def test_named_keys_are_rotated_due_or_not(shell: Shell) -> None:
    """Only those that are named, however young they are."""
    shell.create("a", "b", "c")

    assert shell.json("rotate", "a", "c", "a")["rotated"] == ["a", "c"]
    assert len(shell.adapter.store.describe("b").versions) == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_shows_the_plan(shell: Shell, as_json: bool) -> None:
    """Nothing changes."""
    shell.create("due", days=91)
    objects = len(shell.log.entries("log/"))

    if as_json:
        document = shell.json("rotate", "--dry-run")
        assert (document["dry_run"], document["counts"]["overdue"]) == (True, 1)
    else:
        assert "overdue by 1 d" in shell.run("rotate", "--dry-run").stdout
    assert len(shell.adapter.store.describe("due").versions) == 1
    assert len(shell.log.entries("log/")) == objects


def test_adopt_enrols_and_does_not_rotate(shell: Shell) -> None:
    """The first due time is told, and every version that is there is in the log."""
    shell.unmanaged("app-token", secrets.token_urlsafe())
    shell.unmanaged("other-token", secrets.token_urlsafe())

    first = shell.json("adopt", "app-token", "--spec", "token")["first_due"]
    later = shell.run("adopt", "other-token", "--spec=token", "--first-due=2030-01-02T03:04:05Z")

    now = datetime.now(UTC)
    assert now < datetime.fromisoformat(first) < now + timedelta(days=90)
    assert later.stdout == "Adopted other-token; first due at 2030-01-02T03:04:05Z.\n"
    assert shell.json("rotate")["rotated"] == []
    assert shell.json("audit", "verify")["ok"] is True


def test_a_key_that_another_run_was_faster_on_is_no_failure(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as skipped, with the reason, and the exit status is 0."""
    shell.create("due", days=91)

    def lose(*_: object) -> str:
        msg = "somebody else rotated it meanwhile"
        raise RotationConflict(msg, key_id="due")

    monkeypatch.setattr(LocalStore, "promote", lose)

    result = shell.run("rotate")

    assert result.exit_code == 0
    assert re.search(
        r"due +skipped +already rotated, or being rotated: somebody else", result.stdout
    )
