"""What somebody who may only add to the log adds to it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.folders import folder_at
from daena_kms.audit.records import digest, encode, new_run_id
from daena_kms.rules.durations import format_time

from tests.worlds.memory import MemoryObjects

HOUR = timedelta(hours=1)
NOBODY = f"sha256:{'0' * 64}"
FAR = "log/9999/12/31/23/"


class Forger:
    """Adds objects to a log; ``now`` is the time of the run that meets them."""

    def __init__(self, log: MemoryObjects, now: datetime, key_id: str = "some-key") -> None:
        self.log = log
        self.now = now
        self.key_id = key_id

    def put(self, name: str, data: bytes) -> None:
        """Add an object."""
        self.log.stored[name] = data
        self.log.times[name] = self.now

    def folder(self, ahead: timedelta = timedelta()) -> str:
        """Return the folder of a new run that begins then."""
        return f"{folder_at(self.now + ahead)}{new_run_id()}/"

    def record(self, kind: str, prefix: str, seq: int, **content: Any) -> bytes:
        """Return a record as a run writes it, and put it there."""
        common = {
            "v": 1,
            "type": kind,
            "run": prefix.split("/")[-2],
            "seq": seq,
            "time": format_time(self.now),
            "provider": "local",
            "trigger": "schedule",
            "principal": "someone",
            "reason": None,
            "prev_hash": None,
        }
        data = encode({**common, **content})
        self.put(f"{prefix}{seq:06}.json", data)
        return data

    def closing(self, prefix: str | None = None, **content: Any) -> str:
        """Add the closing record of a run that did nothing, and return the run's folder."""
        prefix = prefix or self.folder()
        empty: dict[str, Any] = {
            "objects": [],
            "saw": {},
            "open": {},
            "unresolved": [],
            "counts": {},
        }
        self.record("closing", prefix, 999_999, **{**empty, **content})
        return prefix

    def action(self, key_id: str | None = None, **more: Any) -> dict[str, Any]:
        """Return an unresolved rotation."""
        row = {"key": key_id or self.key_id, "kind": "rotate", "base": "b", "provider": "local"}
        return {**row, "at": format_time(self.now), **more}


def many_open_runs(forger: Forger) -> None:
    """Runs of the year 9999 that nobody closed, more than a run can look at."""
    forger.closing(open={f"{FAR}{n:032x}/": [NOBODY] for n in range(20_000)})


def many_open_runs_in_bounds(forger: Forger) -> None:
    """The same, in an object that a run reads."""
    forger.closing(open={f"{FAR}{n:032x}/": [NOBODY] for n in range(2_000)})


def open_runs_of_today(forger: Forger) -> None:
    """As many as a run may name, of this hour, and none of them is there."""
    forger.closing(open={forger.folder(): [NOBODY] * 3 for _ in range(250)})


def many_unresolved(forger: Forger) -> None:
    """Twenty thousand unresolved actions on one key."""
    forger.closing(unresolved=[forger.action(base=str(n)) for n in range(20_000)])


def many_unresolved_in_bounds(forger: Forger) -> None:
    """The same, in an object that a run reads."""
    forger.closing(unresolved=[forger.action(base=str(n)) for n in range(2_000)])


def unproved_unresolved(forger: Forger) -> None:
    """As many as a run may pass on, with intents that nobody wrote."""
    rows = [forger.action(base=str(n)) for n in range(100)]
    refs = (f"{forger.folder()}000000.json@{NOBODY}" for _ in rows)
    named = [{**row, "intent": ref} for row, ref in zip(rows, refs, strict=True)]
    forger.closing(unresolved=named)
    forger.closing(unresolved=[{**row, "of_run": forger.folder()} for row in rows])
    forger.closing(unresolved=[forger.action(f"key-{n}") for n in range(200)])


def other_providers(forger: Forger) -> None:
    """Actions on another store, for good."""
    forger.closing(unresolved=[forger.action(f"k{n}", provider="nowhere") for n in range(200)])


def hours_to_come(forger: Forger) -> None:
    """A thousand runs in hours to come."""
    for number in range(1_000):
        forger.closing(forger.folder(HOUR * (number + 2)))


def years_to_come(forger: Forger) -> None:
    """A thousand years, each of one hour."""
    for year in range(2100, 3100):
        forger.closing(f"log/{year}/01/01/00/{new_run_id()}/")


def years_gone(forger: Forger) -> None:
    """Every month since there are clouds, and junk in each."""
    for month in range(12 * 50):
        forger.put(f"log/{1972 + month // 12}/{1 + month % 12:02}/01/00/{new_run_id()}/junk", b"")


def junk_hours(forger: Forger) -> None:
    """Every hour of the last weeks holds something that is no record."""
    for hours in range(1, 500):
        forger.put(f"{forger.folder(-HOUR * hours)}000000.json", b"junk")


def huge(forger: Forger) -> None:
    """A closing record of two gigabytes, and an intent."""
    for seq in ("999999", "000000"):
        name = f"{forger.folder()}{seq}.json"
        forger.put(name, b"")
        forger.log.sizes[name] = 2 << 30


def large(forger: Forger) -> None:
    """Thirty megabytes of closing records, none larger than a run reads."""
    long = "x" * 1_000_000
    for _ in range(30):
        forger.closing(counts={long: 1})


def closed_runs(forger: Forger) -> None:
    """A thousand runs of this hour that did nothing."""
    for _ in range(1_000):
        forger.closing()


def unclosed_runs(forger: Forger) -> None:
    """A thousand runs of this hour that intended what no key needs."""
    for number in range(1_000):
        actions = [forger.action(f"key-{number}-{n}", why="due") for n in range(15)]
        forger.record("intent", forger.folder(), 0, actions=actions)


def full_hour(forger: Forger) -> None:
    """An hour of twelve thousand objects that are none of a run."""
    folder = folder_at(forger.now)
    for number in range(12_000):
        forger.put(f"{folder}{number:06}", b"")


def full_run(forger: Forger) -> None:
    """A run of two thousand records that never ended."""
    prefix = forger.folder()
    for seq in range(2_000):
        forger.record("intent", prefix, seq, actions=[forger.action(f"key-{seq}", why="due")])


def far_numbers(forger: Forger) -> None:
    """Objects of one byte at the end of the numbers."""
    for _ in range(3):
        forger.put(f"{forger.folder()}999998.json", b"x")


def unknown_closings(forger: Forger) -> None:
    """A run that saw five thousand others, of which there are none."""
    forger.closing(saw={f"{forger.folder()}999999.json": NOBODY for _ in range(5_000)})


def large_actions(forger: Forger) -> None:
    """Actions so long that no record of ours could pass them on."""
    for _ in range(3):
        actions = [forger.action(why="x" * 200_000), forger.action(base="y" * 200_000)]
        forger.record("intent", forger.folder(), 0, actions=actions)


def deep(forger: Forger) -> None:
    """Nested beyond what a parser takes, and numbers beyond what a number takes."""
    for data in (b"[" * 900_000, b"9" * 900_000, json.dumps({"v": "x" * 900_000}).encode()):
        forger.put(f"{forger.folder()}999999.json", data)


ATTACKS: list[Callable[[Forger], None]] = [
    many_open_runs,
    many_open_runs_in_bounds,
    open_runs_of_today,
    many_unresolved,
    many_unresolved_in_bounds,
    unproved_unresolved,
    other_providers,
    hours_to_come,
    years_to_come,
    years_gone,
    junk_hours,
    huge,
    large,
    closed_runs,
    unclosed_runs,
    full_hour,
    full_run,
    far_numbers,
    unknown_closings,
    large_actions,
    deep,
]
#: Whole runs that nobody can tell from a run that did nothing, or that was interrupted.
LIKE_OURS = (closed_runs, unclosed_runs, large, full_run)


def named(log: MemoryObjects, name: str) -> str:
    """Return an object of the log as a closing record names it."""
    return f"{name}@{digest(log.stored[name])}"
