"""The folder of a log, for the tests of folders."""

from pathlib import Path

import pytest
from daena_kms.objects.files import FileObjects


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a log, which is there already."""
    folder = tmp_path / "audit"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def log(root: Path) -> FileObjects:
    """The log in it."""
    return FileObjects(root)
