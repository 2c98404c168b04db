"""``rotate --compromised``: what it asks for, what it shows, and what it says was revoked."""

import subprocess
import sys

import pytest
from daena_kms.errors import AccessDenied, ConfigError
from daena_kms.rules.model import VersionState
from daena_kms.stores.local.store import LocalStore

from tests.unit.cli.shell import Shell
from tests.unit.cli.test_cli_documents import TEXTS
from tests.unit.cli.test_terminal import plain, versions

LEAKED = ("rotate", "app-key", "--compromised")
REASON = ("--reason", "in a public log")


def states(shell: Shell) -> list[VersionState]:
    """The states of the key's versions, sorted."""
    return sorted(v.state for v in shell.adapter.store.describe("app-key").versions)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rotate", "--compromised", "--yes", *REASON), "names no key"),
        ((*LEAKED, "--yes"), "has no reason"),
        ((*LEAKED, "--yes", "--reason", " "), "has no reason"),
        ((*LEAKED, *REASON), "not confirmed, and there is no terminal to ask on. Pass --yes"),
    ],
)
def test_it_takes_keys_a_reason_and_a_yes(
    shell: Shell, arguments: tuple[str, ...], words: str
) -> None:
    """Off a terminal; without one of them it is bad usage, and nothing changes."""
    shell.create("app-key")

    result = shell.run(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr
    assert versions(shell, "app-key") == 1
    assert shell.json(*arguments, status=2)["error"]["error"] == ConfigError.code


def test_json_says_what_is_revoked_and_what_reads_it(shell: Shell) -> None:
    """One document: the versions, what retiring means here, and who can read them still."""
    shell.create("app-key")
    old = shell.adapter.store.describe("app-key").versions[0].id

    document = shell.json(*LEAKED, "--yes", *REASON)

    assert document["rotated"] == document["revoked"] == ["app-key"]
    assert document["revoked_versions"] == {"app-key": [old]}
    assert document["counts"]["revoked"] == 1
    assert document["counts"]["retired"] == 0
    assert document["revoking"]["readable"] is None
    assert document["revoking"]["means"] == LocalStore.can.revoking.means
    assert f"version {old} is retired" in document["notes"]["app-key"]
    assert states(shell) == [VersionState.CURRENT, VersionState.RETIRED]
    entries = shell.json("audit", "log")["entries"]
    assert [(e["kind"], e.get("compromised")) for e in entries][-2:] == [
        ("rotate", True),
        ("retire", True),
    ]
    assert {e["reason"] for e in entries[-2:]} == {"in a public log"}


def test_an_ordinary_rotation_revokes_nothing(shell: Shell) -> None:
    """The same fields are there, and empty."""
    shell.create("app-key")

    document = shell.json("rotate", "app-key")

    assert (document["revoked"], document["revoked_versions"]) == ([], {})
    assert document["revoking"] is None


def test_people_read_the_same(shell: Shell) -> None:
    """The table names the version, and below it stands what it comes to."""
    shell.create("app-key")
    old = shell.adapter.store.describe("app-key").versions[0].id

    result = shell.run(*LEAKED, "--yes", *REASON)

    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert f"app-key revoked version {old} is retired" in text
    assert "Who can still read it: nobody." in text
    assert "What stops working: reading it by its id" in text
    assert "How to read it again: no command does this; in Python, LocalAdapter()" in text
    assert "1 rotated, 1 revoked; 1 keys looked at" in text


@pytest.mark.parametrize(("answer", "status", "made"), [("y", 0, 2), ("n", 1, 1)])
def test_it_asks_at_a_terminal(shell: Shell, answer: str, status: int, made: int) -> None:
    """After it has shown what will break off; a no changes nothing."""
    shell.create("app-key")

    with shell.terminal(*LEAKED, *REASON) as terminal:
        question = plain(terminal.until("Do this? [y/N]"))
        terminal.type(answer)
        ended = terminal.end()

    assert "compromised: retired at once, without grace" in question
    assert "What stops working: reading it by its id" in question
    assert (ended, versions(shell, "app-key")) == (status, made)


def test_a_dry_run_needs_no_reason(shell: Shell) -> None:
    """It shows what would be, for people and for machines, and changes nothing."""
    shell.create("app-key")

    shown = shell.run(*LEAKED, "--dry-run")
    document = shell.json(*LEAKED, "--dry-run")

    assert "retired at once, without grace" in shown.stdout
    assert "What stops working: " in shown.stdout
    assert document["revoking"]["undo"] == LocalStore.can.revoking.undo
    assert versions(shell, "app-key") == 1


def test_what_the_guide_says_undoes_it_does(shell: Shell) -> None:
    """The statement in the guide makes the version readable again."""
    shell.create("app-key")
    first = shell.adapter.get_key("app-key")
    old = shell.adapter.store.describe("app-key").versions[0].id
    assert shell.run(*LEAKED, "--yes", *REASON).exit_code == 0

    statement = TEXTS["EMERGENCY.md"].split('python -c "')[1].split('"')[0]
    statement = statement.replace("'KEY'", "'app-key'").replace("'VERSION'", f"'{old}'")
    subprocess.run([sys.executable, "-c", statement], env=shell.surroundings(), check=True)

    assert shell.adapter.get_key("app-key", old) == first


def test_what_is_not_retired_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version and who does it; nothing is claimed to be revoked."""
    shell.create("app-key")
    old = shell.adapter.store.describe("app-key").versions[0].id

    def refuse(*_: object) -> None:
        raise AccessDenied("it refuses", key_id="app-key", todo="Allow it")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "revoke", refuse)
        result = shell.run(*LEAKED, "--yes", *REASON)
    text = " ".join(result.stdout.split())

    assert result.exit_code == 1
    assert f"Version {old} of app-key is compromised, but not retired yet." in text
    assert "still read it" not in text
    assert shell.json("rotate")["revoked_versions"] == {"app-key": [old]}


def test_show_says_which_version_was_compromised(shell: Shell) -> None:
    """In the table and in JSON; no other version is called so."""
    shell.create("app-key")
    old = shell.adapter.store.describe("app-key").versions[0].id
    shell.run(*LEAKED, "--yes", *REASON)

    document = shell.json("show", "app-key")
    table = shell.run("show", "app-key").stdout

    assert [v["id"] for v in document["versions"] if v["compromised"]] == [old]
    assert [v["compromised"] for v in document["versions"]].count(False) == 1
    assert table.count("retired, compromised") == 1
    assert table.count("compromised") == 1
