"""Whose folders may be written and read: modes, owners, file systems that lack something."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from daena_kms.audit.reader import history, read_tail
from daena_kms.audit.verify import verify
from daena_kms.errors import AuditUnavailable, StoreUnavailable
from daena_kms.objects import files
from daena_kms.objects.base import CLAIMS
from daena_kms.objects.files import FileObjects

from tests.unit.logs import Hands, write_run
from tests.unit.objects.test_file_places import HOUR, NAME
from tests.worlds.memory import START


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, folders: bool) -> None:
    """Let one call fail as a file system does that does not have it."""
    inner = getattr(os, name)

    def refusing(*arguments: object, **named: object) -> object:
        if folders and not Path(f"/proc/self/fd/{arguments[0]}").is_dir():
            return inner(*arguments, **named)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, refusing)


def _refuse(monkeypatch: pytest.MonkeyPatch, number: int, where: Path, *names: str) -> None:
    """Let these calls of the system fail below a path, as modes do for users other than root."""

    def refusing(inner: Callable[..., object]) -> Callable[..., object]:
        def refuse_there(path: str | Path | int, *arguments: object, **named: object) -> object:
            if isinstance(path, str | Path) and str(path).startswith(str(where)):
                raise OSError(number, os.strerror(number), os.fspath(path))
            return inner(path, *arguments, **named)

        return refuse_there

    for name in names:
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    monkeypatch.setattr("io.open", refusing(open))


@pytest.mark.parametrize(
    ("folder", "umask", "file", "inner"),
    [
        (0o700, 0o022, 0o600, 0o700),
        (0o750, 0o022, 0o640, 0o750),
        (0o750, 0o077, 0o640, 0o750),
        (0o755, 0o077, 0o644, 0o755),
        (0o770, 0o002, 0o640, 0o750),
        (0o711, 0o022, 0o600, 0o711),
        (0o1777, 0o000, 0o644, 0o755),
    ],
)
def test_records_are_for_whom_the_folder_is(
    root: Path, folder: int, umask: int, file: int, inner: int
) -> None:
    """Who may read the folder may read what is in it, and nobody else may write to it."""
    root.chmod(folder)
    before = os.umask(umask)
    try:
        FileObjects(root).put_new(NAME, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / NAME).stat().st_mode) == file
    for path in (root / NAME).relative_to(root).parents[:-1]:
        assert stat.S_IMODE((root / path).stat().st_mode) == inner


def test_a_folder_that_we_make_is_our_own(tmp_path: Path) -> None:
    """Until its owner opens it; what is private stays private even then."""
    FileObjects(tmp_path / "new").put_new(NAME, b"x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / NAME).stat().st_mode) == 0o600
    (tmp_path / "new").chmod(0o755)
    FileObjects(tmp_path / "new", private=True).put_new("key.pem", b"x")
    assert stat.S_IMODE((tmp_path / "new" / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "number",
    [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK],
)
def test_a_file_system_without_links_is_named(
    log: FileObjects, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The error says what the file system lacks, and nothing is left behind."""
    refuse(monkeypatch, "link", number, folders=False)
    words = r"audit log file:.*the file system of .* has no hard links.*Use a folder on"
    with pytest.raises(AuditUnavailable, match=words):
        log.put_new(NAME, b"x")
    with pytest.raises(StoreUnavailable, match=r"the place for claims .* has no hard links"):
        FileObjects(root, CLAIMS).put_new(NAME, b"x")
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("there", [True, False], ids=["a folder that is there", "a new one"])
def test_a_file_system_that_syncs_no_folder_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, there: bool
) -> None:
    """The error says so before the object is there."""
    if there:
        (root / NAME).parent.mkdir(parents=True)
    refuse(monkeypatch, "fsync", number, folders=True)
    with pytest.raises(AuditUnavailable, match=r"the file system of .* can't sync a folder"):
        FileObjects(root).put_new(NAME, b"x")
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("call", "number"),
    [
        *(("put_new", number) for number in (errno.EACCES, errno.EROFS, errno.EPERM)),
        *((call, errno.EIO) for call in ("entries", "children", "get")),
    ],
)
def test_a_folder_of_somebody_else_is_named(
    log: FileObjects, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    """Below the root, too: the error says which one refused, and why."""
    log.put_new(NAME, b"x")
    (root / "log/2026/04").mkdir()

    def refusing(inner: Callable[..., object]) -> Callable[..., object]:
        def refuse_there(path: str | Path, *arguments: object, **named: object) -> object:
            if "2026/04" in str(path):
                raise OSError(number, os.strerror(number), os.fspath(path))
            return inner(path, *arguments, **named)

        return refuse_there

    for name in ("mkdir",) if call == "put_new" else ("scandir", "listdir", "stat"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    asked: dict[str, Callable[[], object]] = {
        "put_new": lambda: log.put_new("log/2026/04/01/x", b"x"),
        "entries": lambda: log.entries("log/"),
        "children": lambda: log.children("log/2026/04/"),
        "get": lambda: log.get("log/2026/04/01/x"),
    }
    words = rf"{os.strerror(number)} \(log/2026/04.*permissions"
    with pytest.raises(AuditUnavailable, match=words):
        asked[call]()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENAMETOOLONG])
@pytest.mark.parametrize("below", ["log/2026/04", "log/2027", HOUR + "/" + "f" * 32, HOUR + "/x"])
def test_a_closed_folder_ends_nothing(
    log: FileObjects, root: Path, monkeypatch: pytest.MonkeyPatch, below: str, number: int
) -> None:
    """Whoever may add to the log may add a folder of mode 700: verify names it."""
    write_run(log, Hands(START))
    (root / below).mkdir()
    _refuse(monkeypatch, number, root / below, "scandir", "stat")
    assert read_tail(log).unreported == {}
    assert len(list(history(log))) == 1
    assert log.children(f"{below}/") == []
    assert log.get(f"{below}/x") == b""
    assert [problem.name for problem in verify(log).problems] == [f"{below}/"]


def test_a_closed_hour_can_not_be_written_in(
    log: FileObjects, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins in such an hour says so."""
    (root / HOUR).mkdir(parents=True)
    _refuse(monkeypatch, errno.EACCES, root / HOUR, "mkdir")
    with pytest.raises(AuditUnavailable, match="can't be written: Permission denied"):
        log.put_new(NAME, b"x")


def test_a_closed_record_is_none(
    log: FileObjects, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of mode 0 is no record, and no end of what reads the log."""
    write_run(log, Hands(START))
    added = f"{HOUR}/{'f' * 32}/999999.json"
    log.put_new(added, b"{}")
    _refuse(monkeypatch, errno.EACCES, root / added)
    assert read_tail(log).unreported == {}
    assert log.get(added) == b""
    problems = verify(log).problems
    assert added in {problem.name for problem in problems}


def test_a_folder_that_shows_names_alone_is_named(
    log: FileObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of mode 744 can be listed, and nothing in it can be looked at."""
    write_run(log, Hands(START))
    added = f"{HOUR}/{'f' * 32}/999999.json"
    log.put_new(added, b"{}")
    inner = files._is_hidden
    monkeypatch.setattr(files, "_is_hidden", lambda entry: added in entry.path or inner(entry))
    assert [problem.name for problem in verify(log).problems if "named" in problem.what] == [added]
