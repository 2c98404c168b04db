"""Every tampering with a log, and the object that verify names; and what only ``since`` sees."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from daena_kms.audit.reader import read_tail
from daena_kms.audit.records import decode, digest, encode, new_run_id
from daena_kms.audit.verify import Report, verify
from daena_kms.audit.writer import RunWriter

from tests.unit.logs import CONTEXT, Hands, action, done, edited, write_run
from tests.worlds.memory import MemoryObjects

CLOSING = "999999"


@dataclass
class Story:
    """A log of six runs: one was interrupted and recovered by the next, two ran at once."""

    clock: Hands = field(default_factory=Hands)
    log: MemoryObjects = field(init=False)
    runs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = MemoryObjects(self.clock)
        self.runs["first"] = write_run(self.log, self.clock)
        self.clock.pass_(minutes=10)
        self.runs["broken"] = write_run(self.log, self.clock, closing=False)
        self.clock.pass_(minutes=10)
        self.runs["recovering"] = write_run(self.log, self.clock)
        self.clock.pass_(minutes=45)
        left, right = (RunWriter(self.log, CONTEXT, self.clock) for _ in range(2))
        tails = [read_tail(self.log), read_tail(self.log)]
        for writer, tail in zip((left, right), tails, strict=True):
            writer.intent([action()])
            writer.outcome([done()])
            writer.close(tail, [], {})
        self.runs |= {"left": left.prefix, "right": right.prefix}
        self.clock.pass_(minutes=10)
        self.runs["last"] = write_run(self.log, self.clock)

    def name(self, label: str) -> str:
        """Return the object's name of a label such as ``first/000000``."""
        run, _, seq = label.partition("/")
        return f"{self.runs[run]}{seq}.json"

    def named(self, since: str | None = None) -> set[str]:
        """Return what verify names."""
        return {problem.name for problem in verify(self.log, since=since).problems}

    def anchor(self, label: str) -> str:
        """Return a closing record as ``--since`` takes it."""
        name = self.name(f"{label}/{CLOSING}")
        return f"{name}@{digest(self.log.stored[name])}"


CLOSED = ("first", "left", "right", "last")
OBJECTS = [
    *(f"{run}/{seq}" for run in CLOSED for seq in ("000000", "000001", CLOSING)),
    *(f"recovering/{seq}" for seq in ("000000", "000001", "000002", CLOSING)),
    *("broken/000000", "broken/000001"),
]
LAST = f"last/{CLOSING}"


@pytest.fixture
def story() -> Story:
    """A log that nobody has touched."""
    return Story()


def test_a_log_that_nobody_touched(story: Story) -> None:
    """Nothing is wrong; the interrupted run is a note, and the newest closing is the last run's."""
    report = verify(story.log)
    assert (report.ok, report.problems) == (True, [])
    assert (report.objects, report.runs) == (len(OBJECTS), 6)
    assert {story.name(label) for label in OBJECTS} == story.log.stored.keys()
    assert report.newest == story.anchor("last")
    (note,) = report.notes
    assert note.startswith(f"{story.runs['broken']} has no closing record")
    assert note.endswith("a later run recovered it")


def test_an_empty_log() -> None:
    """There is nothing to be wrong, and nothing to keep elsewhere."""
    assert verify(MemoryObjects()) == Report()


def test_a_run_that_nobody_has_looked_at_yet(story: Story) -> None:
    """A run without closing record is a note, not a problem: it may be running."""
    running = write_run(story.log, story.clock, closing=False)
    report = verify(story.log)
    assert report.ok
    assert any(n.startswith(running) and "the next run will look" in n for n in report.notes)


def rewritten(data: bytes) -> bytes:
    """Another content in the one form."""
    return edited(data, principal="somebody else")


def reformatted(data: bytes) -> bytes:
    """The same content in another form."""
    return data.replace(b":", b": ", 1)


def shortened(data: bytes) -> bytes:
    """A part of it."""
    return data[: len(data) // 2]


EDITS: list[Callable[[bytes], bytes]] = [rewritten, reformatted, shortened]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("label", OBJECTS)
def test_an_edit_is_named(story: Story, label: str, edit: Callable[[bytes], bytes]) -> None:
    """An object with other content, another form or less of it is named.

    The exception: a well-formed edit of the very last closing record, which no later run has seen.
    A copy of its hash kept elsewhere tells.
    """
    anchor = story.anchor("last")
    name = story.name(label)
    story.log.stored[name] = edit(story.log.stored[name])
    if label == LAST and edit is rewritten:
        assert story.named() == set()
    else:
        assert name in story.named()
    assert name in story.named(anchor)


@pytest.mark.parametrize("label", OBJECTS)
def test_one_byte_is_enough(story: Story, label: str) -> None:
    """One byte changed anywhere is seen: the object is named, or its neighbour in the chain."""
    name = story.name(label)
    data = story.log.stored[name]
    anchor = story.anchor("last")
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 1
        story.log.stored[name] = bytes(changed)
        seen = story.named(anchor if label == LAST else None)
        assert name in seen, (place, bytes(changed[place - 9 : place + 9]))


@pytest.mark.parametrize("label", OBJECTS)
def test_a_missing_object_is_named(story: Story, label: str) -> None:
    """Each object is missed, but the last closing record: that run seems to be running still."""
    anchor = story.anchor("last")
    name = story.name(label)
    del story.log.stored[name]
    if label == LAST:
        assert story.named() == set()
        assert any(story.runs["last"] in note for note in verify(story.log).notes)
        assert story.named(anchor) == {name}
    else:
        assert name in story.named()


@pytest.mark.parametrize("run", ["first", "broken", "recovering", "left", "right", "last"])
def test_a_missing_run_is_named(story: Story, run: str) -> None:
    """A run that is gone is named by what later runs saw of it; the last one by ``since`` alone."""
    anchor = story.anchor("last")
    gone = {name for name in story.log.stored if name.startswith(story.runs[run])}
    for name in gone:
        del story.log.stored[name]
    seen = story.named()
    if run == "last":
        assert seen == set()
        assert story.named(anchor) == {anchor.split("@")[0]}
    elif run == "broken":
        assert seen == gone
    else:
        assert seen == {story.name(f"{run}/{CLOSING}")}


@pytest.mark.parametrize("run", CLOSED)
def test_a_run_cut_short_is_named(story: Story, run: str) -> None:
    """A run without outcome and closing looks interrupted; what later runs saw gives it away."""
    anchor = story.anchor("last")
    for seq in ("000001", CLOSING):
        del story.log.stored[story.name(f"{run}/{seq}")]
    assert story.named(anchor if run == "last" else None) == {story.name(f"{run}/{CLOSING}")}


@pytest.mark.parametrize("other", ["first/000001", f"first/{CLOSING}", "left/000000", LAST])
def test_two_objects_swapped_are_both_named(story: Story, other: str) -> None:
    """An object in another's place is not taken for it."""
    held, one, two = story.log.stored, story.name("first/000000"), story.name(other)
    held[one], held[two] = held[two], held[one]
    assert {one, two} <= story.named()


@pytest.mark.parametrize("label", OBJECTS)
def test_a_renamed_object_is_named(label: str) -> None:
    """Under a free number of its own run, or another run's, an object is named."""
    for target in ("first/000007", "last/000007"):
        other = Story()
        other.log.stored[other.name(target)] = other.log.stored.pop(other.name(label))
        assert other.name(target) in other.named()


def test_added_objects_are_all_named(story: Story) -> None:
    """Objects that a run's closing record does not know are named, each of them."""
    run = story.runs["first"]
    last = story.log.stored[story.name("first/000001")]
    for seq in (2, 3):
        last = encode({**decode(last, "x"), "seq": seq, "prev_hash": digest(last)})
        story.log.stored[f"{run}{seq:06}.json"] = last
    assert {f"{run}000002.json", f"{run}000003.json"} <= story.named()


def test_what_is_no_object_is_named(story: Story) -> None:
    """A file that no run writes is named, wherever it lies."""
    names = {"log/junk", "log/2026/03/01/12/junk", f"{story.runs['first']}junk.json"}
    story.log.stored |= dict.fromkeys(names, b"junk")
    assert story.named() == names


def test_a_copied_run_is_named(story: Story) -> None:
    """A run's objects under another id are named: each says whose it is."""
    old = story.runs["first"]
    copy = old.replace(old.split("/")[-2], new_run_id())
    for seq in ("000000", "000001", CLOSING):
        story.log.stored[f"{copy}{seq}.json"] = story.log.stored[f"{old}{seq}.json"]
    assert story.named() == {f"{copy}{seq}.json" for seq in ("000000", "000001", CLOSING)}


def test_a_forged_run_is_not_seen(story: Story) -> None:
    """Until the log is signed, whoever may add objects can add a whole run that never was."""
    story.clock.now -= timedelta(minutes=30)
    write_run(story.log, story.clock, key="forged-key")
    assert verify(story.log).ok
