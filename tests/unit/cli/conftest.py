"""A local store and its log, for the command line to work on."""

from pathlib import Path

import pytest

from tests.unit.cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Commands on a fresh local store; also the environment of this process leads to it."""
    made = Shell(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made
