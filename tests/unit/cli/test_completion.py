"""Completion in the shell: the script, its installation, and what it offers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.cli.shell import PROGRAM, Shell

BASH = shutil.which("bash") or "/bin/bash"


def in_bash(shell: Shell, script: str, **environment: str) -> str:
    """Run a script in bash, from which the program learns for which shell to work."""
    done = subprocess.run(
        [BASH, "--norc", "-c", f"{script}\ntrue"],
        env=shell.surroundings(**environment),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("arguments", ["--show-completion", "--show-completion bash"])
def test_the_script_for_bash(shell: Shell, arguments: str) -> None:
    """It is one that bash takes, and it completes our program."""
    script = in_bash(shell, f"{PROGRAM} {arguments}")
    assert "complete -o default -F _daena_kms_completion daena-kms" in script
    in_bash(shell, script)


def test_its_installation(shell: Shell, tmp_path: Path) -> None:
    """It is put into the home folder, and read when a shell starts."""
    home = tmp_path / "home"
    home.mkdir()
    told = in_bash(shell, f"{PROGRAM} --install-completion", HOME=str(home))
    assert "bash completion installed" in told
    assert "daena-kms" in (home / ".bashrc").read_text()
    scripts = list((home / ".bash_completions").iterdir())
    assert [script.name for script in scripts] == ["daena-kms.sh"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("daena-kms ro", {"rotate", "rollback"}),
        ("daena-kms audit ", {"log", "verify", "seal", "key", "export", "prove"}),
        ("daena-kms doctor --e", {"--expect-every"}),
    ],
)
def test_what_it_offers(shell: Shell, typed: str, offered: set[str]) -> None:
    """Commands by their beginning, those of a group, and options."""
    words = typed.split(" ")
    text = in_bash(
        shell,
        str(PROGRAM),
        _DAENA_KMS_COMPLETE="complete_bash",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(words) - 1),
    )
    assert set(text.split()) == offered
