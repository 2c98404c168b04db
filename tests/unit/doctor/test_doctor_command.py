"""The command ``doctor``: its table, its JSON, its exit status."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.engine import run

from tests.unit.cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A local store with one key."""
    made = Shell(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    made.create("app-key", days=1)
    return made


def test_nothing_is_wrong(shell: Shell) -> None:
    """It ends with 0, shows each check with its status, and counts them."""
    result = shell.run("doctor")
    assert result.exit_code == 0, result.output
    assert "master key " in result.output
    assert result.output.rstrip().endswith("12 ok, 2 warning")


def test_something_is_wrong(shell: Shell) -> None:
    """It ends with 1, and says how to mend it."""
    (shell.folder / "store" / "master.key").chmod(0o644)
    result = shell.run("doctor")
    assert result.exit_code == 1
    assert "chmod 600" in result.output


def test_json(shell: Shell) -> None:
    """One document says the same, with a status that has four words."""
    document = shell.json("doctor", "--provider", "local")
    assert document["ok"] is True
    found = {check["check"]: check for check in document["checks"]}
    assert found["keys"]["status"] == "ok"
    assert found["schedule"].keys() == {"check", "status", "found", "todo"}
    (shell.folder / "store" / "master.key").chmod(0o644)
    assert shell.json("doctor", status=1)["ok"] is False


def test_the_expected_interval(shell: Shell) -> None:
    """It takes a duration; a schedule whose last run is older than that is wrong."""
    then = datetime.now(UTC) - timedelta(hours=3)
    run(shell.adapter, shell.log, now=then, trigger="schedule", principal="timer")
    assert shell.run("doctor", "--expect-every", "4h").exit_code == 0
    late = shell.json("doctor", "--expect-every", "2h", status=1)["checks"]
    (found,) = [check for check in late if check["check"] == "schedule"]
    assert found["found"] == "the last scheduled run ended 3 h ago; one is expected every 2 h"
    result = shell.run("doctor", "--expect-every", "soon")
    assert result.exit_code == 2
    assert "90d or 12h" in result.output


@pytest.mark.parametrize("provider", ["nothing", ""])
def test_an_unknown_provider(shell: Shell, provider: str) -> None:
    """It is told like every other finding."""
    result = shell.run("doctor", "--provider", provider)
    assert result.exit_code == 1
    assert "Use one of aws, azure, gcp, local" in result.output


@pytest.mark.parametrize("columns", [60, 200])
def test_at_a_terminal(shell: Shell, columns: int) -> None:
    """No line is wider than the terminal, and what is wrong is red."""
    (shell.folder / "store" / "master.key").chmod(0o644)
    with shell.terminal("doctor", columns=columns) as terminal:
        assert terminal.end() == 1
    plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown)
    assert max(len(line) for line in plain.splitlines()) <= columns
    assert "\x1b[31mwrong" in terminal.shown
