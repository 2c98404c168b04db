"""Folders as they are found: strange names, links, loops, other owners, lesser file systems."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.audit.reader import history, read_tail
from daena_kms.audit.verify import verify
from daena_kms.objects import files
from daena_kms.objects.base import AlreadyExists
from daena_kms.objects.files import FileObjects

from tests.unit.logs import Hands, write_run
from tests.worlds.memory import START

HOUR = "log/2026/03/01/12"
NAME = f"{HOUR}/{'0' * 32}/000000.json"


NAMES = [
    *(
        b"a\tb",
        b"a\nb",
        b"\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"a b",
        b"a\\b",
    ),
    *(b"%2F", b"...", b" ", b"~", b"\xe2\x80\xaegnp", b"*", b"'", b'"', b"$(x)", b"x" * 255),
]


@pytest.mark.parametrize("below", ["log", "log/2026", HOUR, NAME.rpartition("/")[0]])
def test_strange_names_end_nothing(log: FileObjects, root: Path, below: str) -> None:
    """Files and folders of any name are passed over by runs, and named, escaped, by verify."""
    clock = Hands(START)
    write_run(log, clock)
    (root / below).mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = os.fsencode(root / below) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(b"x")
        if len(name) < 99:
            Path(os.fsdecode(path + b"-d")).mkdir()
            Path(os.fsdecode(path + b"-d/x")).write_bytes(b"x")
    clock.pass_(minutes=5)
    write_run(log, clock)
    assert read_tail(log).unreported == {}
    assert len(list(history(log))) == 2
    report = verify(log)
    assert len(report.problems) == 2 * len(NAMES) - 1
    assert all("is not named like an object" in problem.what for problem in report.problems)
    assert all(p.name.isascii() and p.name.isprintable() for p in report.problems)


def test_many_strange_names_make_a_short_report(log: FileObjects, root: Path) -> None:
    """Fifty are named, the others counted."""
    write_run(log, Hands(START))
    for number in range(250):
        (root / "log" / f"{number} ").write_bytes(b"")
    report = verify(log)
    assert len(report.problems) == 51
    assert report.problems[-1].what.startswith("and 200 more of this kind")


@pytest.mark.parametrize("level", ["log/2026", "log/2026/03", "log/2026/03/01", HOUR])
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "on another disk"])
def test_what_is_written_through_a_link_is_read(
    log: FileObjects, root: Path, level: str, *, inside: bool
) -> None:
    """Somebody moved a year, or an hour, elsewhere: runs go on, and find what they wrote."""
    target = (root if inside else root.parent) / "elsewhere"
    target.mkdir()
    (root / level).parent.mkdir(parents=True)
    (root / level).symlink_to(target)
    clock = Hands(START)
    first = write_run(log, clock)
    clock.pass_(minutes=5)
    second = write_run(log, clock, closing=False)
    names = [entry.name for entry in log.entries("log/")]
    assert {name[: len(first)] for name in names} == {first, second}
    assert [entry.name for entry in log.entries(f"{HOUR}/")] == names
    assert list(read_tail(log).unreported) == [second]
    assert verify(log).ok


def to_itself(path: Path) -> None:
    """Make a link that leads to itself."""
    path.symlink_to(path)


def to_above(path: Path) -> None:
    """Make a link to the folder that it is in."""
    path.symlink_to(path.parent)


def to_the_root(path: Path) -> None:
    """Make a link to the root of all."""
    path.symlink_to("/")


def to_nowhere(path: Path) -> None:
    """Make a link to what is not there."""
    path.symlink_to(path.parent / "nowhere")


def to_each_other(path: Path) -> None:
    """Make two links that lead to each other."""
    other = path.with_name(f"{path.name}0")
    path.symlink_to(other)
    other.symlink_to(path)


def to_many(path: Path) -> None:
    """Make a folder with links into each other, so that there are endless ways through it."""
    for one in range(10, 14):
        (path / str(one)).mkdir(parents=True)
    for one in range(10, 14):
        for other in range(10, 14):
            (path / str(one) / str(other)).symlink_to(path / str(other))


@pytest.mark.parametrize(
    "make", [to_itself, to_above, to_the_root, to_nowhere, to_each_other, to_many]
)
@pytest.mark.parametrize(
    ("where", "name"), [("log", "77"), ("log/2026", "link"), (HOUR, "77"), (HOUR, "f" * 32)]
)
def test_links_that_lead_astray_end_nothing(
    log: FileObjects, root: Path, make: Callable[[Path], None], where: str, name: str
) -> None:
    """No listing goes round, through the whole machine, or stops; verify says what is there."""
    clock = Hands(START)
    first = write_run(log, clock)
    make(root / where / name)
    clock.pass_(minutes=5)
    second = write_run(log, clock)
    runs = {
        entry.name[: len(first)] for entry in log.entries(f"{HOUR}/") if first[:18] in entry.name
    }
    assert {first, second} <= runs
    read_tail(log)
    report = verify(log)
    assert report.runs >= 2
    assert not report.ok
    assert len(report.problems) < 200


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, folders: bool) -> None:
    """Let one call fail as a file system does that does not have it."""
    inner = getattr(os, name)

    def refusing(*arguments: object, **named: object) -> object:
        if folders and not Path(f"/proc/self/fd/{arguments[0]}").is_dir():
            return inner(*arguments, **named)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, refusing)


@pytest.mark.parametrize(("name", "depth"), [("z", 1_100), ("z" * 200, 25)])
def test_folders_without_end_end_nothing(
    log: FileObjects, root: Path, name: str, depth: int
) -> None:
    """Neither a thousand folders in each other, nor a path that is longer than one may be."""
    write_run(log, Hands(START))
    handle = os.open(root / HOUR, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    assert read_tail(log).unreported == {}
    assert len(list(history(log))) == 1
    (problem,) = verify(log).problems
    assert problem.name.startswith(f"{HOUR}/{name[:9]}")
    for _ in range(depth - 1):  # what takes a folder away may not get that deep
        (root / HOUR / name / name).rename(root / HOUR / "inner")
        (root / HOUR / name).rmdir()
        (root / HOUR / "inner").rename(root / HOUR / name)


def test_links_multiply_no_listing(log: FileObjects, root: Path) -> None:
    """Twenty folders with links to each other are ways without end: a thousand links are taken."""
    for one in range(10, 30):
        (root / "log" / str(one)).mkdir(parents=True)
        (root / "log" / str(one) / "file").write_bytes(b"x")
    for one in range(10, 30):
        for other in range(10, 30):
            (root / "log" / str(one) / str(other)).symlink_to(root / "log" / str(other))
    assert 20 < len(log.entries("log/")) <= 1_020


def test_what_has_the_place_of_an_object_is_empty(log: FileObjects, root: Path) -> None:
    """A folder, a link to itself or to nowhere is an empty object, and no end of a run."""
    (root / NAME).mkdir(parents=True)
    assert log.get(NAME) == b""
    with pytest.raises(AlreadyExists):
        log.put_new(NAME, b"x")
    for number, target in enumerate(["itself", "nowhere"], start=1):
        other = NAME.replace("000000.json", f"00000{number}.json")
        (root / other).symlink_to(root / (other if target == "itself" else target))
        assert log.get(other) == b""
        with pytest.raises(AlreadyExists):
            log.put_new(other, b"x")


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "log/../../secret", "log//x", "", "."]
)
def test_nothing_outside_is_opened(log: FileObjects, root: Path, name: str) -> None:
    """A record may name an object; a name that leads elsewhere means none."""
    (root.parent / "secret").write_bytes(b"x")
    assert log.get(name) is None


@pytest.mark.parametrize("seconds", [1e15, -1e15, 1e300, float("nan"), 2.0**62])
def test_a_time_that_no_calendar_has_counts_as_old(
    log: FileObjects, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Whoever may write to the folder may date a file as they like."""
    log.put_new(NAME, b"x")
    assert files._time(seconds) == datetime(1970, 1, 1, tzinfo=UTC)
    inner = files._time
    monkeypatch.setattr(files, "_time", lambda _seconds: inner(seconds))
    assert [entry.name for entry in log.entries("log/")] == [NAME]


def test_a_scan_begins_after_a_name(log: FileObjects, root: Path) -> None:
    """Folders that end before it are not even listed."""
    names = [f"log/2026/03/0{day}/12/{'0' * 32}/00000{n}.json" for day in (1, 2, 3) for n in (0, 1)]
    for name in names:
        log.put_new(name, b"xy")
    listed: list[str] = []
    inner = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        listed.append(os.fspath(path))
        return inner(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        found = list(log.scan("log/", names[2]))
    assert [entry.name for entry in found] == names[3:]
    assert {entry.size for entry in found} == {2}
    assert not [path for path in listed if "/03/01" in path.removeprefix(str(root))]
