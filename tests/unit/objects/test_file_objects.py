"""The log's objects as files: created whole, durably, once."""

import errno
import os
import secrets
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import AlreadyExists
from daena_kms.objects.files import FileObjects

NAME = "log/2026/03/01/12/run/000000.json"

_PUT = """
import sys
from pathlib import Path
from daena_kms.objects.base import AlreadyExists
from daena_kms.objects.files import FileObjects
sys.stdin.readline()
try:
    FileObjects(Path(sys.argv[1])).put_new(sys.argv[2], sys.argv[3].encode())
except AlreadyExists:
    sys.exit(3)
"""

_DIE_BEFORE_THE_LINK = """
import os, sys
from pathlib import Path
from daena_kms.objects.files import FileObjects
Path.hardlink_to = lambda self, other: os._exit(9)
FileObjects(Path(sys.argv[1])).put_new(sys.argv[2], b"data")
"""


@pytest.fixture
def log(tmp_path: Path) -> FileObjects:
    """A log in a folder that is not there yet."""
    return FileObjects(tmp_path / "audit")


def test_what_was_put_is_read_and_listed(log: FileObjects) -> None:
    """An object has its bytes; what is not there is None and an empty listing."""
    assert (log.get(NAME), log.entries("log/"), log.children("log/")) == (None, [], [])
    log.put_new(NAME, b"one")
    log.put_new("log/2025/03/01/12/run/000000.json", b"")
    assert log.get(NAME) == b"one"
    assert log.get("log/2025/03/01/12/run/000000.json") == b""
    assert [e.name for e in log.entries("log/")] == ["log/2025/03/01/12/run/000000.json", NAME]
    assert [e.name for e in log.entries("log/2026/")] == [NAME]
    assert log.children("log/") == ["2025", "2026"]
    assert log.children("log/2026/03/01/12/run/") == []


def test_an_object_is_never_overwritten(log: FileObjects) -> None:
    """A second put of a name is refused and leaves the first as it was."""
    log.put_new(NAME, b"one")
    with pytest.raises(AlreadyExists):
        log.put_new(NAME, b"two")
    assert log.get(NAME) == b"one"
    assert [e.name for e in log.entries("log/")] == [NAME]


def test_twenty_threads_make_one_object(log: FileObjects) -> None:
    """Of twenty threads that put one name, one wins, and its bytes are what stays."""
    barrier = threading.Barrier(20)

    def put(number: int) -> int | None:
        barrier.wait()
        try:
            log.put_new(NAME, f"{number}".encode() * 1000)
        except AlreadyExists:
            return None
        return number

    with ThreadPoolExecutor(20) as pool:
        winners = [n for n in pool.map(put, range(20)) if n is not None]
    assert len(winners) == 1
    assert log.get(NAME) == f"{winners[0]}".encode() * 1000


def test_twenty_processes_make_one_object(log: FileObjects, tmp_path: Path) -> None:
    """The same holds for processes, which share nothing but the folder."""
    command = [sys.executable, "-c", _PUT, str(tmp_path / "audit"), NAME]
    started = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE) for number in range(20)
    ]
    for process in started:  # all of them wait for a line before they put
        process.communicate(b"\n")
    codes = [process.returncode for process in started]
    assert sorted(codes) == [0] + [3] * 19
    assert log.get(NAME) == f"{codes.index(0)}".encode()


def test_a_crash_before_the_link_leaves_no_object(log: FileObjects, tmp_path: Path) -> None:
    """A process that dies with the bytes written has made no object, and the name is free."""
    command = [sys.executable, "-c", _DIE_BEFORE_THE_LINK, str(tmp_path / "audit"), NAME]
    assert subprocess.run(command, check=False).returncode == 9
    folder = tmp_path / "audit" / NAME.rpartition("/")[0]
    assert len(list(folder.iterdir())) == 1
    assert log.get(NAME) is None
    assert log.entries("log/") == []
    log.put_new(NAME, b"later")
    assert log.get(NAME) == b"later"


def test_all_is_synced_before_and_after_the_name_is_given(
    log: FileObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced before it gets its name, its folder after, and new folders' parents."""
    events: list[str] = []
    sync, link = os.fsync, Path.hardlink_to

    def record_sync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        shown = "file" if path.is_file() else f"folder {path.relative_to(tmp_path)}"
        if shown == "file":
            assert path.read_bytes() == b"data"
        events.append(shown)
        sync(handle)

    def record_link(path: Path, target: str) -> None:
        link(path, target)
        events.append("link")

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "hardlink_to", record_link)
    log.put_new(NAME, b"data")
    run = "audit/" + NAME.rpartition("/")[0]
    parents = [str(p) for p in reversed(Path(run).parents)]
    assert events == [*(f"folder {p}" for p in parents), "file", "link", f"folder {run}"]
    events.clear()
    log.put_new(NAME.replace("000000", "000001"), b"data")
    assert events == ["file", "link", f"folder {run}"]


def test_an_object_is_its_writers_own(log: FileObjects, tmp_path: Path) -> None:
    """Nobody else may write to an object, nor to a folder of the log."""
    log.put_new(NAME, b"data")
    for path in [*(tmp_path / "audit").rglob("*")]:
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
    assert stat.S_IMODE((tmp_path / "audit" / NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["fsync", "link", "mkdir", "fdopen"])
def test_a_full_disk_is_reported(
    log: FileObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """No space at any step is AuditUnavailable, with the address; no object and no rest is left."""

    def full(*_args: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if name == "fdopen":
        inner = os.fdopen

        def failing(handle: int, mode: str) -> object:
            file = inner(handle, mode)
            monkeypatch.setattr(file, "write", full)
            return file

        monkeypatch.setattr(os, "fdopen", failing)
    else:
        monkeypatch.setattr(os, name, full)
    with pytest.raises(AuditUnavailable, match=r"audit.*No space left.*space") as caught:
        log.put_new(NAME, b"data")
    monkeypatch.undo()
    assert str(tmp_path / "audit") in str(caught.value)
    assert log.get(NAME) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_is_a_file_is_reported(tmp_path: Path) -> None:
    """A log whose address is a file can be neither written, read nor listed."""
    (tmp_path / "audit").write_text("not a folder")
    log = FileObjects(tmp_path / "audit")
    with pytest.raises(AuditUnavailable, match="written"):
        log.put_new(NAME, b"data")
    with pytest.raises(AuditUnavailable, match="read"):
        log.get(NAME)
    with pytest.raises(AuditUnavailable, match="listed"):
        log.children("log/")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_a_folder_that_refuses_is_reported(
    log: FileObjects, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A folder that may not be written, listed or read is AuditUnavailable, never an empty log."""
    log.put_new(NAME, b"data")

    def refuse(*_args: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    for name in ("open", "scandir", "listdir", "stat"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    for call in (
        lambda: log.put_new(NAME + "x", b"data"),
        lambda: log.get(NAME),
        lambda: log.entries("log/"),
        lambda: log.children("log/"),
    ):
        with pytest.raises(AuditUnavailable, match=os.strerror(number)):
            call()


def test_temporary_files_are_no_objects(log: FileObjects, tmp_path: Path) -> None:
    """What a killed writer left behind is not listed."""
    log.put_new(NAME, b"data")
    (tmp_path / "audit" / NAME).with_name(f".new-{secrets.token_hex(4)}").write_text("half")
    assert [e.name for e in log.entries("log/")] == [NAME]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_has_no_end_is_not_waited_for(
    log: FileObjects, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """Who may write to the folder may put a pipe or a device there: it is an empty object."""
    name = "log/2026/03/01/12/run/000001.json"
    log.put_new(NAME, b"x")
    make(next(tmp_path.rglob("000000.json")).with_name("000001.json"))
    assert log.get(name) == b""
    with pytest.raises(AlreadyExists):
        log.put_new(name, b"x")


def test_a_link_to_nowhere_does_not_hide_the_log(log: FileObjects, tmp_path: Path) -> None:
    """A dangling link among the objects stops neither a listing nor a run."""
    log.put_new(NAME, b"data")
    (tmp_path / "audit" / NAME).with_name("junk").symlink_to(tmp_path / "nowhere")
    assert NAME in [e.name for e in log.entries("log/")]
