"""The command line at a terminal: it asks, shows progress and colours, and fits the width."""

import re
import secrets
from pathlib import Path

import pytest

from tests.unit.cli.shell import Shell

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7])(?:;\d+)*m")
ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def plain(text: str) -> str:
    """What a person sees: the text without colours and movements of the cursor."""
    return ESCAPE.sub("", text).replace("\r\n", "\n")


def versions(shell: Shell, key_id: str) -> int:
    """How many versions a key has."""
    return len(shell.adapter.store.describe(key_id).versions)


@pytest.mark.parametrize(("answer", "status", "made"), [("y", 0, 2), ("n", 1, 1), ("", 1, 1)])
def test_rotate_asks_at_a_terminal(shell: Shell, answer: str, status: int, made: int) -> None:
    """It shows the plan first; a yes does it, a no or just Enter changes nothing."""
    shell.create("due", days=91)

    with shell.terminal("rotate") as terminal:
        question = plain(terminal.until("Do this? [y/N]"))
        terminal.type(answer)
        ended = terminal.end()

    assert "overdue by 1 d" in question
    assert (ended, versions(shell, "due")) == (status, made)
    assert ("Nothing was changed." in terminal.shown) == (status == 1)


@pytest.mark.parametrize("option", ["--yes", "-y"])
def test_yes_asks_nothing(shell: Shell, option: str) -> None:
    """A person who says so beforehand is not asked, and sees how far it is."""
    shell.create("due", days=91)

    with shell.terminal("rotate", option) as terminal:
        assert terminal.end() == 0

    assert "[y/N]" not in terminal.shown
    assert "rotating" in terminal.shown
    assert versions(shell, "due") == 2


def test_adopt_asks_at_a_terminal(shell: Shell) -> None:
    """Whether every consumer reads the store; a no leaves the key to whoever rotates it."""
    shell.unmanaged("app-token", secrets.token_urlsafe())

    with shell.terminal("adopt", "app-token", "--spec", "token") as terminal:
        question = terminal.until("[y/N]")
        terminal.type("n")
        assert terminal.end() == 1

    assert "Does every consumer read it from the store?" in plain(question)
    assert shell.adapter.list_keys() == []
    with shell.terminal("adopt", "app-token", "--spec", "token", "--yes") as terminal:
        assert terminal.end() == 0
    assert shell.adapter.list_keys() == ["app-token"]


def test_off_a_terminal_nothing_is_asked_and_no_progress_shown(shell: Shell) -> None:
    """A script is never waited for: standard error stays empty, and no byte is for a terminal."""
    shell.create("due", days=91)
    shell.unmanaged("app-token", secrets.token_urlsafe())

    rotated = shell.process("rotate")
    adopted = shell.process("adopt", "app-token", "--spec", "token")

    assert (rotated.returncode, adopted.returncode) == (0, 0)
    assert b"\x1b" not in rotated.stdout + adopted.stdout
    assert (rotated.stderr, adopted.stderr) == (b"", b"")


def test_ctrl_c_at_the_question_changes_nothing(shell: Shell) -> None:
    """The command ends, and not with 0."""
    shell.create("due", days=91)

    with shell.terminal("rotate") as terminal:
        terminal.until("[y/N]")
        terminal.interrupt()
        assert terminal.end() == 130

    assert "Nothing was changed." in terminal.shown
    assert "Traceback" not in terminal.shown
    assert versions(shell, "due") == 1


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["xterm", "NO_COLOR", "dumb"],
)
def test_colours_are_for_terminals_that_want_them(
    shell: Shell,
    environment: dict[str, str],
    coloured: bool,
) -> None:
    """NO_COLOR and a dumb terminal get the same words without."""
    shell.create("due", days=91)

    with shell.terminal("plan", environment=environment) as terminal:
        assert terminal.end() == 0

    assert (COLOUR.search(terminal.shown) is not None) == coloured
    assert "rotate" in plain(terminal.shown)


@pytest.mark.parametrize("columns", [60, 200])
def test_tables_fit_the_terminal_and_lose_nothing(shell: Shell, columns: int) -> None:
    """Long texts fold; every letter of every reason is there."""
    shell.create("orders-encryption-key", days=91)
    shell.create("k" * 40, days=92)
    reasons = {a["key"]: a["why"] for a in shell.json("plan")["actions"]}

    with shell.terminal("plan", columns=columns) as terminal:
        assert terminal.end() == 0

    lines = plain(terminal.shown).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= columns
    shown = "".join(sorted("".join(lines).replace(" ", "")))
    rows = [f"{key}rotate{why}" for key, why in reasons.items()]
    expected = "".join(sorted("".join(["keyactionwhy", *rows]).replace(" ", "")))
    assert shown == expected
    if columns == 200:
        assert len(lines) == 3


def test_off_a_terminal_a_reason_stays_on_its_line(shell: Shell) -> None:
    """A plain page is wide enough for grep, whatever COLUMNS says to terminals."""
    shell.create("due", days=91)

    lines = shell.process("plan", COLUMNS="40").stdout.decode().splitlines()

    assert len(lines) == 2
    assert lines[1].rstrip().endswith("overdue by 1 d: last rotated 91 d ago, rotate-after 90 d")


@pytest.mark.parametrize("text", ["Zürich 漢字 🔑", "שלום", "e\u0301"])
def test_words_in_any_script_come_back(shell: Shell, text: str) -> None:
    """In the table and in JSON, from an argument through the log."""
    shell.create("key")

    assert shell.process("rotate", "key", "--reason", text).returncode == 0

    assert text in shell.process("audit", "log").stdout.decode()
    assert shell.json("audit", "log")["entries"][-1]["reason"] == text


def test_a_terminal_without_unicode_gets_a_stand_in(shell: Shell) -> None:
    """An old locale is no reason to fail: what it can't show is replaced."""
    assert shell.process("create", "key", "--reason", "Zürich").returncode == 0

    done = shell.process("audit", "log", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"rich" in done.stdout


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "\x1b]0;title\x07", "a\rb", "\x9b31m", "[red]x[/]"]
)
def test_the_log_can_not_command_the_terminal(shell: Shell, text: str) -> None:
    """A reason that came over HTTP is shown as text: no escape sequence, no markup of ours."""
    shell.create("key")
    assert shell.run("rotate", "key", "--reason", text).exit_code == 0

    shown = shell.run("audit", "log").stdout

    assert not {"\x1b", "\x9b", "\x07", "\r"} & set(shown)
    if text.startswith("["):
        assert text in shown


def test_bytes_that_are_no_text_do_no_harm(shell: Shell) -> None:
    """An argument in another encoding is kept as an escape, and the log stays readable."""
    shell.create("key")
    strange = Path(b"\xff\xfe".decode(errors="surrogateescape"))

    assert shell.process("rotate", "key", "--reason", str(strange)).returncode == 0

    assert shell.process("audit", "log").returncode == 0
    assert shell.process("audit", "verify").returncode == 0
