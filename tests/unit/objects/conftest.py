"""The folder of a log, for the tests of folders; a bucket that answers by a script, for clouds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.objects.files import FileObjects

from tests.unit.objects.scripted import KINDS, Open, Script, scripted


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


@pytest.fixture(params=KINDS)
def bucket(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Script, Open]]:
    """Give an empty bucket of each cloud."""
    with scripted(request.param, monkeypatch) as made:
        yield made


@pytest.fixture
def script(bucket: tuple[Script, Open]) -> Script:
    """Give what the bucket holds and answers."""
    return bucket[0]
