"""What other people wrote does nothing to a person's terminal, and forges no line."""

import json
import logging
import secrets

import pytest
from daena_kms.cli import app as cli_app
from daena_kms.errors import StoreUnavailable
from daena_kms.operations import Operations
from daena_kms.stores.local.store import LocalStore

from tests.unit.cli.shell import Shell

NASTY = (
    "\x1b[2J\x1b]8;;http://x\x07\r\nError: all is well\u202e\u2028\x9b1A\x7f[red]x[/red] :skull:"
)
ESCAPED = (
    r"\x1b[2J\x1b]8;;http://x\x07\x0d\x0aError: all is well\u202e\u2028\x9b1A\x7f"
    "[red]x[/red] :skull:"
)
#: A part of it that no page folds.
MARK = "[red]x[/red]"


def check(text: str) -> None:
    """Check that a page of ours holds no character that acts on a terminal, and no forged line."""
    assert all(line.isprintable() for line in text.split("\n")), ascii(text)
    assert not any(line.startswith("Error: all is well") for line in text.split("\n"))
    assert "\N{SKULL}" not in text


@pytest.fixture
def hostile(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A store and a log full of such text."""
    shell.create("key", days=91)
    store = shell.adapter.store
    for name in ("daena.spec", "daena.rotate-after", "daena.note", NASTY):
        store.tag(store.describe("key"), {name: NASTY})
    shell.create("fine", days=91)
    Operations(shell.adapter, shell.log, principal=NASTY, reason=NASTY).hold("fine")
    shell.log.put_new(f"log/2026/{'x' * 8}/a.json", json.dumps({"a": NASTY}).encode())
    monkeypatch.setenv("DAENA_OPERATOR", NASTY)
    return shell


@pytest.mark.parametrize(
    "command",
    [
        ["plan"],
        ["list"],
        ["show", "key"],
        ["rotate"],
        ["rotate", "key", "--reason", NASTY],
        ["rotate", "key", "--dry-run"],
        ["audit", "log"],
        ["audit", "verify"],
        ["doctor"],
        ["hold", "key", "--until", NASTY],
        ["show", NASTY],
        ["policy", "show", "key"],
        ["policy", "show", NASTY],
        ["policy", "set", "fine", "--spec", NASTY],
        ["policy", "set", "fine", NASTY, "--keep", "3"],
        ["show", "key", "--version", NASTY, "--reveal"],
        ["rollback", "fine", "--version", NASTY],
        ["delete", NASTY],
        ["plan", "--provider", NASTY],
        ["adopt", "key", "--spec", NASTY],
        ["audit", "verify", "--since", NASTY],
        ["audit", "log", "--since", NASTY],
        ["demo", NASTY],
    ],
    ids=lambda command: " ".join(w for w in command if w != NASTY),
)
def test_no_command_passes_it_on(hostile: Shell, command: list[str]) -> None:
    """Neither on standard output nor on standard error."""
    result = hostile.run(*command)
    assert isinstance(result.exception, SystemExit | None)
    check(result.stdout)
    check(result.stderr)


@pytest.mark.parametrize(
    "command",
    [
        [NASTY],
        ["show", "key", NASTY],
        ["show", f"--{NASTY}"],
        ["create", "key", "--keep", NASTY],
        ["audit", NASTY],
        [f"--{NASTY}"],
    ],
    ids=["command", "argument", "option", "number", "inner command", "option of all"],
)
def test_wrong_usage_quotes_it_safely(shell: Shell, command: list[str]) -> None:
    """Typer's own errors quote arguments as they are."""
    result = shell.run(*command)
    assert result.exit_code == 2
    check(result.stderr)


def test_it_is_shown_escaped_and_not_as_markup(hostile: Shell) -> None:
    """A person sees what is there."""
    shown = hostile.run("show", "key").stdout.replace("\n", "")
    assert f"daena.note = {ESCAPED}" in shown
    assert MARK in hostile.run("audit", "log").stdout


def test_an_error_of_a_store_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a store's message quotes."""

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable(f"the store says {NASTY}", key_id=NASTY, todo=NASTY)

    monkeypatch.setattr(LocalStore, "scan", refuse)
    result = shell.run("plan")
    assert result.exit_code == 1
    check(result.stderr)
    assert MARK in result.stderr


def test_a_warning_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python prints warnings of libraries as they are where no log is set up."""
    logger = logging.getLogger("somebody.else")
    monkeypatch.setattr(logger, "propagate", False)

    def warn(*_: object, **__: object) -> list[object]:
        logger.error("a warning: %s", NASTY, exc_info=ValueError(NASTY))
        return []

    monkeypatch.setattr(LocalStore, "scan", warn)
    result = shell.run("plan")
    check(result.stderr)
    assert result.stderr == f"a warning: {ESCAPED}\n"


VALUE = secrets.token_hex()


@pytest.mark.parametrize(
    "error",
    [
        KeyError(VALUE),
        ValueError(f"{VALUE} {NASTY}"),
        UnicodeDecodeError("utf-8", VALUE.encode(), 0, 1, NASTY),
        RecursionError(VALUE),
        MemoryError(VALUE),
        OSError(5, VALUE),
        type(f"Odd{'x' * 20}", (Exception,), {})(VALUE),
        ExceptionGroup(VALUE, [ValueError(VALUE)]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("method", ["scan", "read"])
def test_what_nobody_foresaw_shows_only_its_type_and_place(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, error: Exception, as_json: bool, method: str
) -> None:
    """No text, no traceback, no local variable; exit status 1."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(LocalStore, method, fail)
    command = ["plan"] if method == "scan" else ["show", "key", "--reveal"]
    result = shell.run(*command, *(["--json"] if as_json else []))
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert VALUE not in result.output
    check(result.output)
    assert f"an unexpected {type(error).__name__} at daena_kms." in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("error", [KeyError(VALUE), type("Panic", (BaseException,), {})(VALUE)])
def test_the_program_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """Also where an error comes from outside a command, and a library's panic is no exception."""
    from daena_kms.cli import main

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli_app, "app", fail)
    monkeypatch.setattr("threading.excepthook", None)
    monkeypatch.setattr("sys.unraisablehook", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert VALUE not in said.err
    assert said.err.startswith(f"Error: an unexpected {type(error).__name__} at daena_kms.cli")
