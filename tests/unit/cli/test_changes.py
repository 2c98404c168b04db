"""hold, release, rollback, delete and restore: what each does, prints and records."""

import io
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.cli.render import versions_table
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.stores.local.store import LocalStore
from rich.console import Console

from tests.unit.cli.shell import Shell
from tests.unit.cli.test_terminal import plain


def kinds(shell: Shell) -> list[tuple[str, str]]:
    """Return what the log says was done, oldest first."""
    return [(e["kind"], e["result"]) for e in shell.json("audit", "log")["entries"]]


def test_a_key_on_hold_is_not_rotated_until_it_is_released(shell: Shell) -> None:
    """Both are in the log, with their reason; releasing rotates nothing by itself."""
    shell.create("app-key", days=91)
    held = shell.json("hold", "app-key", "--reason", "migrating")
    assert held == {"key": "app-key", "hold": "true"}
    assert shell.json("rotate")["held"] == ["app-key"]
    assert shell.run("release", "app-key").stdout == "app-key is released.\n"
    assert len(shell.adapter.store.describe("app-key").versions) == 1
    assert shell.json("rotate")["rotated"] == ["app-key"]
    assert kinds(shell)[1:] == [("hold", "done"), ("release", "done"), ("rotate", "done")]
    assert shell.json("audit", "log")["entries"][1]["reason"] == "migrating"


def test_a_hold_may_have_an_end(shell: Shell) -> None:
    """A time in UTC; anything else is bad usage and changes nothing."""
    shell.create("app-key")
    end = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert shell.json("hold", "app-key", "--until", end)["hold"] == end
    assert shell.adapter.store.describe("app-key").tags["daena.hold"] == end
    refused = shell.run("hold", "app-key", "--until", "tomorrow")
    assert refused.exit_code == 2
    assert "--until is 'tomorrow'" in refused.stderr
    assert shell.adapter.store.describe("app-key").tags["daena.hold"] == end


def test_rolling_back_makes_a_new_version_that_stays(shell: Shell) -> None:
    """It has the older one's value; the next run leaves it."""
    shell.create("app-key")
    first = shell.adapter.get_key("app-key")
    shell.json("rotate", "app-key")
    made = shell.json("rollback", "app-key", "--reason", "consumers broke")
    assert shell.adapter.get_key("app-key") == first
    current = shell.adapter.store.describe("app-key").current
    assert current is not None
    assert made == {"key": "app-key", "version": current.id, "value_of": "previous"}
    assert first not in str(made)
    assert shell.json("rotate")["rotated"] == []
    assert shell.adapter.get_key("app-key") == first
    assert kinds(shell)[-1] == ("rollback", "done")
    assert shell.json("audit", "verify")["ok"]


def test_rolling_back_to_what_is_not_there(shell: Shell) -> None:
    """There is no previous version yet: an error that says so, and no change."""
    shell.create("app-key")
    refused = shell.run("rollback", "app-key")
    assert refused.exit_code == 1
    assert "no readable previous version" in refused.stderr


def test_deleting_is_confirmed_and_undone(shell: Shell) -> None:
    """Off a terminal it needs --yes; restore brings the key back with its versions."""
    shell.create("app-key")
    refused = shell.run("delete", "app-key")
    assert refused.exit_code == 2
    assert "Pass --yes" in refused.stderr
    value = shell.adapter.get_key("app-key")
    done = shell.run("delete", "app-key", "--yes", "--reason", "retired")
    assert (done.exit_code, done.stdout.startswith("Deleted app-key: kept")) == (0, True)
    assert shell.json("list") == {"keys": []}
    assert shell.json("restore", "app-key") == {"key": "app-key", "restored": True}
    assert shell.adapter.get_key("app-key") == value
    assert kinds(shell)[-2:] == [("delete", "done"), ("restore", "done")]


def test_restoring_says_what_stays_away(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, in JSON and in the log, as the store says it."""
    shell.create("app-key")
    left = "its version 1 stays disabled"
    monkeypatch.setattr(LocalStore, "restore", lambda *_: left)
    assert shell.run("restore", "app-key").stdout == f"Restored app-key, but {left}.\n"
    assert shell.json("restore", "app-key")["message"] == left
    assert left in shell.run("audit", "log").stdout


def test_show_says_when_a_version_is_destroyed() -> None:
    """A table for people has the time that is left until its end, which somebody has asked for."""
    now = datetime.now(UTC)
    ends = now + timedelta(days=3, minutes=1)
    gone = Version("1", VersionState.DESTROYED, now - timedelta(days=9), to_be_destroyed=ends)
    page = Console(file=io.StringIO(), width=200)
    page.print(versions_table(Key("app-key", {}, (gone,)), now))
    assert isinstance(page.file, io.StringIO)
    assert "to be destroyed in 3 d" in page.file.getvalue()


@pytest.mark.parametrize(("typed", "status", "left"), [("app-key", 0, []), ("yes", 1, ["app-key"])])
def test_deleting_asks_for_the_name_at_a_terminal(
    shell: Shell, typed: str, status: int, left: list[str]
) -> None:
    """A yes is not enough: it is the name that has to be typed."""
    shell.create("app-key")
    with shell.terminal("delete", "app-key") as terminal:
        question = plain(terminal.until("to delete it"))
        terminal.type(typed)
        assert terminal.end() == status
    assert "Nobody will be able to read app-key" in question
    assert ("Nothing was changed." in terminal.shown) == (status == 1)
    assert shell.adapter.list_keys() == left


@pytest.mark.parametrize("command", ["hold", "release", "rollback", "restore"])
def test_what_is_not_ours_is_refused(shell: Shell, command: str) -> None:
    """A missing key, and one without our tag, are named; nothing is changed."""
    shell.unmanaged("their-key", "x" * 24)
    missing = shell.run(command, "no-key")
    assert (missing.exit_code, "'no-key'" in missing.stderr) == (1, True)
    theirs = shell.run(command, "their-key")
    assert theirs.exit_code == 1
    assert "daena.managed=true" in theirs.stderr
    assert shell.adapter.store.describe("their-key").tags == {}


def test_a_key_that_carries_only_our_tags(shell: Shell) -> None:
    """Failing with the command that mends it, then enrolled with when it is first due."""
    store = shell.adapter.store
    store.create("their-key", secrets.token_urlsafe(), {}, datetime.now(UTC) - timedelta(days=91))
    store.tag(store.describe("their-key"), {"daena.managed": "true"})
    failed = shell.run("rotate")
    assert failed.exit_code == 1
    assert "Run: daena-kms adopt their-key --spec SPEC" in plain(failed.stdout)
    store.tag(store.describe("their-key"), {"daena.spec": "token"})
    (planned,) = shell.json("plan")["actions"]
    assert (planned["key"], planned["kind"]) == ("their-key", "enrol")
    done = shell.run("rotate", "their-key")
    assert done.exit_code == 0
    shown = plain(done.stdout)
    assert "enrolled by tag; first due at" in shown
    assert "1 enrolled" in shown
    assert shell.json("rotate", "their-key")["rotated"] == ["their-key"]
    assert [kind for kind, result in kinds(shell) if result == "done"] == ["enrol", "rotate"]
