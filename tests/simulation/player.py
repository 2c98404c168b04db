"""Plays histories: each process does its work, and the store is held against the model."""

import contextlib
import random
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from daena_kms.audit.bounds import ReadBudget
from daena_kms.audit.compare import OUT_OF_BAND
from daena_kms.audit.reader import read_tail, unresolved_actions
from daena_kms.audit.verify import verify
from daena_kms.engine import run
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.operations import Operations
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.summary import Summary

from tests.simulation.base import PROCESSES, TAG, Cloud
from tests.simulation.calls import Calls
from tests.simulation.history import DAY, HOUR, History, Outside, Step, smaller
from tests.simulation.model import INSTANT, Model
from tests.simulation.scheduler import Process, Scheduler, simulated

KEY = "app-key"
_LOOKS = 5
#: Words that are no words: ids, times, numbers.
_NUMBERED = re.compile(r"\S*\d\S*")


@dataclass
class Played:
    """What came of a history."""

    history: History
    wrong: list[str]
    counted: list[str]
    calls: int
    told: list[str] = field(default_factory=list)


class Player:
    """Plays one history on a store that was emptied for it."""

    def __init__(self, history: History, cloud: Cloud) -> None:
        self._history = history
        self._cloud = cloud
        self._scheduler = Scheduler()
        days = history.policy.grace
        grace = None if days is None else timedelta(days=days)
        self.model = Model(cloud, lambda: self._scheduler.now, grace, skewed=history.skewed)
        self.told: list[str] = []
        self._results: dict[str, object] = {}
        self._bases: dict[str, str | None] = {}
        #: A tag that the owner set, and when.
        self._tagged: tuple[str, float] | None = None

    def play(self) -> Played:
        """Play it, and return what was wrong."""
        history, scheduler = self._history, self._scheduler
        with simulated(f"{history.store}-{history.seed}"):
            self._cloud.begin(scheduler.wall)
            self._plan(0, Step(0, "create"))
            for number, step in enumerate(history.steps, 1):
                self._plan(number, step)
            for event in history.outside:
                scheduler.after(event.at, lambda event=event: self._act(event))  # type: ignore[misc] # mypy infers no default
            quiet = len(history.steps) + 1
            end = history.end + HOUR
            scheduler.after(end, self._calm)
            self._plan(quiet, Step(end + 1, "restore"))
            scheduler.after(end + HOUR, self._calm)  # a deleted key's versions are there again
            self._plan(quiet + 1, Step(end + 2, "release"))
            days = (history.policy.grace or 0) + history.policy.rotate
            for n, after in enumerate((2 * HOUR, 4 * HOUR)):
                self._plan(quiet + 2 + n, Step(end + after, "run"))
            scheduler.after(end + 5 * HOUR, self._settled)
            for n, after in enumerate((2 * HOUR, 4 * HOUR)):
                self._plan(quiet + 4 + n, Step(end + after + days * DAY, "run"))
            scheduler.run()
            self._check_end()
        wrong = list(dict.fromkeys(self.model.wrong))
        calls = sum(len(c.made) for c in self._cloud.calls if c is not None)
        return Played(history, wrong, self.model.counted, calls, self.told)

    def _plan(self, number: int, step: Step) -> None:
        name = f"{number} {step.what}"
        self._scheduler.begin(step.at, name, lambda: self._do(number, name, step))

    def _do(self, number: int, name: str, step: Step) -> None:
        process = next(p for p in self._scheduler.processes if p.name == name)
        pick = random.Random(f"{self._history.seed}-{number}")  # noqa: S311 - the same each time
        calls = Calls(process, pick, dict(step.faults), lambda call: self._saw(process, call))
        self._cloud.calls[number] = calls
        try:
            self._results[name] = self._work(number, name, step)
        except DaenaKMSError as error:
            self._results[name] = error
        self._tell(f"{name}: {_short(self._results[name])}")

    def _work(self, number: int, name: str, step: Step) -> object:
        adapter, log = self._cloud.adapter(number), self._cloud.log_of(number)
        now = self._scheduler.wall() + timedelta(seconds=step.skew)
        seen = self._cloud.see().get(KEY)
        current = self._bases[name] = seen.current if seen is not None else None
        given: dict[str, Any] = {"now": now, "reason": f"history {name}"}
        if step.what in {"run", "rotate", "emergency"}:
            keys = None if step.what == "run" else [KEY]
            emergency = step.what == "emergency"
            if emergency and current is not None:
                self.model.compromised |= set(seen.versions) if seen is not None else set()
            self.model.emergencies += emergency
            try:
                return run(
                    adapter, log, keys=keys, workers=1, deadline=240, compromised=emergency, **given
                )
            finally:
                self.model.emergencies -= emergency
        work = Operations(adapter, log, **given)
        if step.what == "create":
            policy = self._history.policy
            return work.create(KEY, spec=policy.spec, tags=policy.tags)
        if step.what in {"delete", "restore"}:
            self.model.deleting = True
        if step.what == "hold":
            work.hold(KEY)
            self.model.held_at = process_time(self._scheduler)
            return "held"
        if step.what == "release":
            work.release(KEY)
            self.model.held_at = None
            return "released"
        result: object = getattr(work, step.what)(KEY)
        return result

    def _saw(self, process: Process, call: str) -> None:
        self._tell(f"{process.name} > {call}")
        before = len(self.model.wrong), len(self.model.promotions)
        self.model.look(process.name)
        for promotion in self.model.promotions[before[1] :]:
            self._tell(f"    {promotion.base} -> {promotion.version}")
        for text in self.model.wrong[before[0] :]:
            self._tell(f"    WRONG: {text}")

    def _tell(self, text: str) -> None:
        self.told.append(f"{self._scheduler.now:11.3f} {text}")

    def _act(self, event: Outside) -> None:
        seen = self._cloud.see().get(KEY)
        if seen is None or seen.deleted or seen.current is None:
            return
        if event.what == "disable":
            newest = list(seen.versions)[-1]
            self.model.disabled[newest] = self._scheduler.now
            self.model.touched.add(newest)
        if event.what == "hold":
            self.model.held_at = self._scheduler.now
        if event.what == "tag":
            self._tagged = str(event.choice), self._scheduler.now
        if event.what == "stale":
            self._scheduler.after(300, lambda: self._cloud.stale(stale=False))
        if event.what in {"put", "add", "back"}:
            self.model.foreign = True
            self.model.touched |= set(seen.versions)
        try:
            self._cloud.outsiders[event.what](KEY, event.choice)
        except Exception as error:  # noqa: BLE001 - what an outsider may not do is not our matter
            self._tell(f"outsider {event.what}: {error}")
        self._tell(f"outsider {event.what}")
        self.model.look(None)

    def _calm(self) -> None:
        """End what people have left: a hold, and a deletion, which the next process undoes."""
        self._tell("calm")
        self._check_tags()
        self._cloud.calm(KEY)
        self.model.held_at = None
        self.model.disabled.clear()
        self.model.look(None)

    def _check_tags(self) -> None:
        """Check that what an owner set is still there: a hold, and a tag of another's."""
        asked = [("daena.hold", "true", self.model.held_at)]
        if self._tagged is not None:
            asked.append((TAG, *self._tagged))
        tags = self._cloud.see()[KEY].tags
        for name, text, at in asked:
            if at is None or tags.get(name) == text:
                continue
            lost = f"the tag {name}={text} is lost"
            soon = [w for w in self.model.written if 0 <= w - at <= INSTANT.total_seconds()]
            if soon:
                self.model.counted.append(lost)
            else:
                self._say(lost)
        self._tagged = None

    def _key(self) -> Key:
        number = PROCESSES - 1
        process = Process(self._scheduler, "check", lambda: None)
        process.alone = True
        pick = random.Random(0)  # noqa: S311 - its waits are none
        self._cloud.calls[number] = Calls(process, pick, {}, lambda _call: None)
        store = self._cloud.adapter(number).store
        for _ in range(_LOOKS):  # a key that was just restored may show a little later
            with contextlib.suppress(KeyNotFound):
                return store.describe(KEY, exact=True)
        return store.describe(KEY, exact=True)

    def _settled(self) -> None:
        """Check what must be so after two quiet runs."""
        key = self._key()
        seen = self._cloud.see()[KEY]
        if key.deleted is None and not seen.readable:
            self._say(f"the current version {seen.current} can't be read when all is quiet")
        self._say_each("must still be revoked", [v.id for v in key.versions if v.to_revoke])
        tail = read_tail(self._cloud.log, self._scheduler.wall(), ReadBudget(bool))
        for action in unresolved_actions(tail):
            self._say(f"unresolved: {action['kind']} {action.get('version') or action.get('base')}")
        report = verify(self._cloud.log, [key], now=self._scheduler.wall())
        for problem in report.problems:
            late = history_is_late(problem.what) and self._history.skewed
            if not late:
                self._say(f"verify: {problem}")
        strange = [f.version for f in report.findings if f.status == OUT_OF_BAND]
        # Key Vault dates versions itself: one whose name is hours older is taken for another's.
        if not (self.model.foreign or (self._history.store == "azure" and self._history.skewed)):
            self._say_each("out-of-band", strange)
        self._check_told()
        self._check_log()

    def _check_told(self) -> None:
        """Hold what people were told against what was."""
        for name, result in self._results.items():
            if not isinstance(result, Summary):
                continue
            revoked = result.revoked_versions.get(KEY, ())
            seen = self._cloud.see()[KEY].versions
            for version in revoked:
                if not seen[version].retired and version not in self.model.touched:
                    self._say(f"{name} says that {version} is revoked")
            new = result.new_versions.get(KEY)
            if new is not None and not self.model.was_current(new):
                self._say(f"{name} says that {new} is current")

    def _check_log(self) -> None:
        """Hold what the log says against what was."""
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for record in self._cloud.log.records():
            for row in record.get("results", ()):
                rows[row["kind"], row.get("base"), row.get("version"), record["run"]] = row
        for row in rows.values():
            new = row.get("new_version")
            if row["result"] == "done" and new is not None and not self.model.was_current(new):
                self._say(f"the log says {row['kind']} done: {new}")
            if row["result"] == "done" and row["kind"] == "retire":
                seen_now = self._cloud.see()[KEY].versions.get(row["version"])
                if seen_now is not None and not seen_now.retired and not self.model.touched:
                    self._say(f"the log says that {row['version']} was retired")

    def _check_end(self) -> None:
        """Check what must be so after the grace of every version, and two runs more."""
        key = self._key()
        seen = self._cloud.see()[KEY]
        if key.deleted is None and not seen.readable:
            self._say(f"the current version {seen.current} can't be read at the end")
        if self.model.grace is None or key.deleted is not None or self.model.foreign:
            return
        for version in key.versions:
            ended = self.model.superseded(version.id)
            if version.state is not VersionState.PREVIOUS or ended is None:
                continue
            over = self._scheduler.now - ended - self.model.grace.total_seconds()
            if over > HOUR:
                self._say(f"{version.id} is still previous {over / DAY:.1f} d after its grace")

    def _say_each(self, what: str, versions: list[str]) -> None:
        for version in versions:
            self._say(f"{what}: {version}")

    def _say(self, text: str) -> None:
        self.model.wrong.append(text)
        self._tell(f"    WRONG: {text}")


def history_is_late(what: str) -> bool:
    """Whether a problem is that a run is dated before others had found its end."""
    return what.startswith("was added after a later run had")


def process_time(scheduler: Scheduler) -> float:
    """Return the simulated time."""
    return scheduler.now


def _short(result: object) -> str:
    if isinstance(result, Summary):
        parts = ("rotated", "finished", "retired", "revoked", "failed", "skipped", "left", "held")
        did = {name: getattr(result, name) for name in parts}
        errors = {k: str(e)[:200] for k, e in result.errors.items()}
        return f"{ {n: v for n, v in did.items() if v} } {errors or ''}"
    return f"{type(result).__name__}: {str(result)[:200]}"


def play(history: History, cloud: Cloud) -> Played:
    """Play a history."""
    return Player(history, cloud).play()


def shrink(history: History, cloud: Cloud) -> History:
    """Return a smaller history in which the same kind of thing goes wrong."""
    kind = _kind(play(history, cloud))
    found = True
    while found:
        found = False
        for candidate in smaller(history):
            if _kind(play(candidate, cloud)) == kind:
                history, found = candidate, True
                break
    return history


def _kind(played: Played) -> str:
    return _NUMBERED.sub("", played.wrong[0]) if played.wrong else ""
