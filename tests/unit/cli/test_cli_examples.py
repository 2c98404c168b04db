"""Every command's help ends with examples, and each of them does what it says."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from daena_kms.cli.app import app
from daena_kms.cli.examples import EXAMPLES

from tests.unit.cli.shell import Shell

#: Takes what a test of an example should not: minutes, and every cloud's stand-in.
PARSED_ONLY = {"daena-kms demo", "daena-kms demo --keep"}
LINES = [line for lines in EXAMPLES.values() for line in lines]


def commands(of: typer.Typer = app, group: str = "") -> Iterator[str]:
    """The names of all commands there are, as they are typed."""
    for command in of.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        yield f"{group} {name}".strip()
    for inner in of.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, str(inner.name))


def test_every_command_has_an_example() -> None:
    """And no example is of a command that there is not."""
    assert sorted(commands()) == sorted(EXAMPLES)
    for name, lines in EXAMPLES.items():
        for line in lines:
            assert line.startswith(f"daena-kms {name}")


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_help_shows_them_whole(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, columns: str
) -> None:
    """However narrow the terminal is, a line can be copied."""
    monkeypatch.setenv("COLUMNS", columns)
    shown = [line.strip() for line in shell.run(*name.split(), "--help").stdout.splitlines()]
    start = shown.index("Examples:")
    assert tuple(shown[start + 1 : start + 1 + len(EXAMPLES[name])]) == EXAMPLES[name]


@pytest.fixture
def prepared(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Keys for all examples: one with two versions, one on hold, one deleted, one of others.

    And a place for seals.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAENA_KMS_SEAL_URL", (tmp_path / "seals").as_uri())
    shell.create("app-token", spec="token")
    shell.adapter.rotate_key("app-token")
    shell.create("held-token", spec="token", hold="true")
    shell.create("gone-token", spec="token")
    shell.adapter.delete_key("gone-token")
    shell.unmanaged("old-token", "x" * 43)
    return shell


@pytest.mark.parametrize("line", [line for line in LINES if line not in PARSED_ONLY])
def test_an_example_runs(prepared: Shell, line: str) -> None:
    """It ends with 0; a log with versions made past it is the one that verify is right about."""
    _, *arguments = shlex.split(line)
    if arguments[0] == "audit":
        prepared.run("rotate", "app-token", "--yes")
        prepared.run("audit", "seal")
    if "handed-over" in arguments and "verify" in arguments:
        prepared.run("audit", "export", "handed-over")
    name = prepared.log.entries("log/")[0].name if arguments[:2] == ["audit", "prove"] else ""
    result = prepared.run(*(name if text.startswith("log/") else text for text in arguments))
    past_the_log = arguments[1:] in ([], ["verify"]) and arguments[0] == "audit"
    assert result.exit_code == (1 if past_the_log else 0), result.output


@pytest.mark.parametrize("line", sorted(PARSED_ONLY))
def test_an_example_is_understood(line: str) -> None:
    """Its options and arguments are the command's."""
    _, name, *rest = shlex.split(line)
    group = typer.main.get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]  # it is a group
    assert command.make_context(name, list(rest)).params["part"] in {"local", "all"}
