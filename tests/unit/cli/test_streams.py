"""Standard streams that are closed or full: an error or the work, and never a success alone."""

import subprocess

import pytest

from tests.unit.cli.shell import PROGRAM, Shell


def sh(shell: Shell, command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a shell; ``$0`` is the program."""
    return subprocess.run(
        ["/bin/sh", "-c", command, PROGRAM],
        env=shell.surroundings(),
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", ["list", "list --json", "--help"])
def test_a_full_disk_is_an_error(shell: Shell, arguments: str) -> None:
    """It is named, nobody is asked to report it, and the exit status is no success."""
    shell.create("key")
    result = sh(shell, f'"$0" {arguments} > /dev/full')
    assert result.returncode == 1
    assert result.stderr == b"Error: standard output can't be written: No space left on device\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ('"$0" create key <&- >&- 2>&-', 0),
        ('printf x | "$0" create key --value-stdin >&- 2>&-', 0),
        ('"$0" create key --value-stdin <&-', 2),
        ('"$0" demo --no-such <&- >&- 2>&-', 2),
    ],
)
def test_closed_streams(shell: Shell, command: str, status: int) -> None:
    """Nothing of what is printed gets into a file that is opened later."""
    result = sh(shell, command)
    assert (result.returncode, b"Traceback" in result.stderr) == (status, False)
    assert len(shell.adapter.list_keys()) == (0 if status else 1)


def test_no_value_is_revealed_to_a_closed_stream(shell: Shell) -> None:
    """It would be nowhere."""
    shell.create("key")
    result = sh(shell, '"$0" show key --reveal >&-')
    assert result.returncode == 2
    assert b"standard input or output is closed" in result.stderr
