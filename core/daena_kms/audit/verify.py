"""Check the log against itself and against the store, and name the exact object that is wrong."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

from daena_kms.audit.bounds import MAX_OBJECT, BoundedLog, ReadBudget, Spent
from daena_kms.audit.chain import RunCheck
from daena_kms.audit.compare import CONFIRMED, OUT_OF_BAND, UNCONFIRMED, Comparison, Finding
from daena_kms.audit.folders import hour_of
from daena_kms.audit.generation import Claims
from daena_kms.audit.intents import LONGEST_RUN, Intents, cleaned, identity
from daena_kms.audit.policies import PolicyWatch
from daena_kms.audit.problems import GivenUp, Problem, Problems, shortened
from daena_kms.audit.records import (
    CLOSING,
    CLOSING_SEQ,
    RECOVERY,
    ROOT,
    digest,
    object_name,
    split_name,
)
from daena_kms.audit.witnesses import Witnesses
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Entry, Objects, ascii_name
from daena_kms.rules.due import CLOCK_SKEW
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key

__all__ = ["CONFIRMED", "OUT_OF_BAND", "UNCONFIRMED", "Finding", "Problem", "Report", "verify"]

#: So many objects beside the log are noted.
_BESIDE = 100
_NO_NAME = "is not named like an object of the log"
#: So many runs may be dated ahead by a wrong clock, or begin at once in a new log; more are named.
_FEW = 20
#: So many closing records without room are noted; more are counted.
_FULL = 50
#: What is read beside the objects themselves, to prove unresolved actions that name no intent.
_PROOF_CALLS, _PROOF_BYTES = 50_000, 1_000_000_000
#: So many proofs are kept.
_PROVED = 4096


@dataclass(slots=True)
class Report:
    """The result of a verification. Problems and out-of-band versions make ``ok`` false."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    objects: int = 0
    runs: int = 0
    #: The newest closing record as ``name@hash``: kept elsewhere, it proves the log up to it.
    newest: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and all(f.status != OUT_OF_BAND for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {
            "ok": self.ok,
            "objects": self.objects,
            "runs": self.runs,
            "newest": self.newest,
            "problems": [
                {"object": problem.name, "what": problem.what} for problem in self.problems
            ],
            "notes": list(self.notes),
            "versions": [
                {"key": finding.key_id, "version": finding.version, "status": finding.status}
                for finding in self.findings
            ],
        }


class Seals(Protocol):
    """What holds the log against its seals."""

    def read(self, problems: Problems) -> None:
        """Check the seals themselves."""

    def see(self, log: Objects, entry: Entry, data: bytes | None, problems: Problems) -> None:
        """Hold one object against them; ``data`` is ``None`` if it is larger than any record."""

    def end(self, problems: Problems) -> list[str]:
        """Name what is missing, and return what people should know."""


class _Unsealed:
    """There are no seals."""

    def read(self, problems: Problems) -> None:
        pass

    def see(self, log: Objects, entry: Entry, data: bytes | None, problems: Problems) -> None:
        pass

    def end(self, problems: Problems) -> list[str]:
        del problems
        return []


def verify(
    objects: Objects,
    keys: Iterable[Key] | None = None,
    since: str | None = None,
    now: datetime | None = None,
    *,
    older: Callable[[Iterable[Mapping[str, object]]], str | None] | None = None,
    seals: Seals | None = None,
) -> Report:
    """Check every object of the log, run by run. Of a run that was checked, little is kept.

    Args:
        objects: The log.
        keys: A store's listing. Each version in it is then confirmed (a result names it),
            unconfirmed (there is an intent and no result: a crash) or out-of-band (neither).
        since: A closing record as an earlier report gave it, ``name@hash``. It, and everything
            that it covers, must still be there, unchanged.
        now: The time after which no run can have begun; each one that says so is a problem. By
            default a few of them are noted, as a wrong clock writes them.
        older: Takes the counts of the closing records, and returns how the store is older than
            they say (:func:`daena_kms.engine.generation.older`).
        seals: What holds the log against its seals (:class:`daena_kms.seal.check.SealCheck`).

    Raises:
        AuditUnavailable: The log can't be read.
        ConfigError: ``since`` names no closing record.
    """
    anchor = check_anchor(since)
    # List the store first: the log then has at least the intent of each version in the listing.
    comparison = None if keys is None else Comparison(keys)
    return _Verification(objects, comparison, now, seals).report(anchor, older)


def check_anchor(since: str | None) -> tuple[str, str] | None:
    """Return the name and the hash in ``since``.

    Raises:
        ConfigError: It names no closing record, or has no hash.
    """
    if since is None:
        return None
    name, _, hashed = since.partition("@")
    parts = split_name(name)
    if parts is None or parts[2] != CLOSING_SEQ or not hashed.startswith("sha256:"):
        msg = f"{since[:80]!r} is not a closing record"
        raise ConfigError(msg, todo="Give name@sha256:… as an earlier audit verify printed it")
    return name, hashed


class _Verification:
    """One verification, as it goes from object to object."""

    def __init__(
        self,
        objects: Objects,
        comparison: Comparison | None,
        now: datetime | None,
        seals: Seals | None = None,
    ) -> None:
        self._objects = objects
        self._seals = seals or _Unsealed()
        self._comparison = comparison
        self._strict = now is not None
        self._horizon = (now or datetime.now(UTC)) + CLOCK_SKEW
        self._problems = Problems()
        self._policies = PolicyWatch()
        self._given_up = GivenUp()
        self._witnesses = Witnesses(objects, self._problems)
        self._intents = Intents(
            BoundedLog(objects, ReadBudget(calls=_PROOF_CALLS, size=_PROOF_BYTES))
        )
        self._proved: OrderedDict[tuple[Any, ...], bool] = OrderedDict()
        self._manifests: OrderedDict[str, None] = OrderedDict()
        self._report = Report()
        #: What closing records say of how often the store was changed.
        self._claims = Claims()
        #: Notes on closing records without room for all that was unresolved; how many there are.
        self._full: list[str] = []
        self._full_count = 0
        #: The newest closing record that is not dated ahead, and of all: its time, name and hash.
        self._newest: tuple[bool, datetime, str, str] | None = None
        #: How many runs saw no other run's end.
        self._blind = 0
        self._ahead = 0
        self._ahead_loose = 0

    def report(
        self,
        anchor: tuple[str, str] | None,
        older: Callable[[Iterable[Mapping[str, object]]], str | None] | None = None,
    ) -> Report:
        """Read the log, and return what was found."""
        run: RunCheck | None = None
        self._seals.read(self._problems)
        for entry in self._objects.scan(ROOT):
            parts = split_name(entry.name)
            if parts is None:
                self._report.objects += 1
                self._problems.add(ascii_name(entry.name), _NO_NAME)
                continue
            if run is None or run.prefix != parts[0]:
                self._end(run)
                run = RunCheck(parts[0], self._problems)
            self._read(run, entry)
        self._end(run)
        for name in self._objects.strange(ROOT):  # nothing opens them
            self._problems.add(ascii_name(name), _NO_NAME)
        # Such a name looks like one of the log's, and is beside it.
        beside = [ascii_name(name) for name in islice(self._objects.strange("/"), _BESIDE)]
        self._report.notes += [
            f"{name} is outside of {ROOT}, and nothing reads it" for name in beside
        ]
        if anchor is not None:
            self._witnesses.kept_elsewhere(*anchor)
        self._witnesses.end()
        report = self._report
        report.notes += self._witnesses.notes()
        report.notes += self._seals.end(self._problems)
        report.notes += self._policies.notes()
        report.notes += self._given_up.notes()
        report.notes += shortened(self._full, self._full_count)
        if self._blind > _FEW:
            what = f"{self._blind:,} runs saw no run before them, and there were some"
            report.notes.append(f"{what}: they had no time to look, or somebody added them")
        self._note_ahead()
        problem = older(self._claims) if older is not None else None
        if problem is not None:
            self._problems.add(self._objects.url, problem)
        report.problems = self._problems.all()
        if self._newest is not None:
            report.newest = f"{self._newest[2]}@{self._newest[3]}"
        if self._comparison is not None:
            report.findings = self._comparison.findings()
            report.notes += self._comparison.missing_keys()
        return report

    def _read(self, run: RunCheck, entry: Entry) -> None:
        data: bytes | None = None
        if entry.size is None or entry.size <= MAX_OBJECT:
            data = self._objects.get_listed(entry, MAX_OBJECT + 1)
            if data is None:
                return  # gone since it was listed
            data = data if len(data) <= MAX_OBJECT else None
        self._report.objects += 1
        self._seals.see(self._objects, entry, data, self._problems)
        record = run.add(entry.name, data)
        if record is None:
            return
        self._policies.see(run.prefix, record)
        if self._comparison is not None:
            self._comparison.add(record)
        self._check_manifests(record)
        when = datetime.fromisoformat(record["time"])
        hour = hour_of(run.prefix)
        if hour is not None and not -CLOCK_SKEW <= when - hour <= LONGEST_RUN + CLOCK_SKEW:
            self._problems.add(entry.name, "is dated at another time than its run")
        if any(cleaned(action) is None for action in record.get("actions", ())):
            self._problems.add(entry.name, "intends what no run intends: runs pass over it")
        if record["type"] == RECOVERY:
            self._witnesses.listed(entry.name, record["runs"], when, recovery=True)
            named = [row for row in record["results"] if row.get("intent")]
            self._check_proved(entry.name, named, "says what became of")
            for row in record["results"]:
                self._given_up.add(entry.name, row)
        elif record["type"] == CLOSING:
            self._check_proved(entry.name, record["unresolved"], "passes on")
            self._note_counts(entry.name, record["counts"])

    def _note_counts(self, name: str, counts: Mapping[str, Any]) -> None:
        """Note what a closing record counts beside results."""
        self._claims.add(counts)
        left = counts.get("not_passed_on")
        if isinstance(left, int):
            note = f"{name}: its run could not pass on {left:,} unresolved actions"
            self._full_count += 1
            if self._full_count <= _FULL:
                self._full.append(note)

    def _end(self, run: RunCheck | None) -> None:
        """Check a run as a whole, and what it says about others."""
        if run is None:
            return
        self._report.runs += 1
        self._witnesses.add(run, run.end())
        if self._comparison is not None:
            self._comparison.end_run()
        hour = hour_of(run.prefix)
        ahead = max(run.latest or self._horizon, hour or self._horizon) > self._horizon
        if ahead:
            self._ahead += 1
            self._ahead_loose += run.closing is None or not run.closing["saw"]
            if self._strict:
                what = "is dated ahead of this machine's clock: runs pass over it until then"
                self._problems.add(run.prefix, what)
        if hour is None:
            self._problems.add(run.prefix, "lies in an hour that does not exist")
        name = object_name(run.prefix, CLOSING_SEQ)
        if run.closing is not None:
            self._blind += not run.closing["saw"]
            self._witnesses.saw(name, run.closing["saw"])
            when = datetime.fromisoformat(run.closing["time"])
            # A run reads the log right before its first record, if that is not its closing record.
            began = run.began if run.closing["objects"] else None
            self._witnesses.listed(name, run.closing["open"], began)
            newest = (not ahead, when, name, str(run.closing_hash))
            self._newest = max(newest, self._newest or newest)

    def _note_ahead(self) -> None:
        if self._strict or not self._ahead:
            return
        what = f"{self._ahead:,} runs are dated after {format_time(self._horizon)}"
        if self._ahead_loose > _FEW:
            self._problems.add(ROOT, f"{what}, by a wrong clock or by somebody else")
        else:
            self._report.notes.append(f"{what}: runs pass over them until then")

    def _check_proved(self, name: str, rows: Iterable[Mapping[str, Any]], what: str) -> None:
        """Check that an intent in the log holds each of these actions."""
        unproved = sum(not self._is_proved(row) for row in rows)
        if unproved:
            kind = f"{what} actions that no intent in the log proves: runs pass over them"
            text = f"{what} {unproved} actions that no intent in the log proves"
            self._problems.add(name, f"{text}: runs pass over them", kind)

    def _is_proved(self, action: Mapping[str, Any]) -> bool:
        key = (*identity(action), *(action.get(n) for n in ("intent", "of_run", "at", "provider")))
        if key not in self._proved:
            try:
                self._proved[key] = self._intents.proved(action) is not None
            except Spent:
                self._proved[key] = False
            if len(self._proved) > _PROVED:
                self._proved.popitem(last=False)
        return self._proved[key]

    def _check_manifests(self, record: Mapping[str, Any]) -> None:
        """Check that the manifests that results name are there; their content is not checked."""
        for row in record.get("results", ()):
            ref = row.get("manifest")
            if ref is None or ref in self._manifests:
                continue
            self._manifests[ref] = None
            if len(self._manifests) > _PROVED:
                self._manifests.popitem(last=False)
            name, _, hashed = ref.partition("@")
            data = self._objects.get_up_to(name, MAX_OBJECT + 1)
            if data is None:
                self._problems.add(name, "is missing: a result names this manifest")
            elif digest(data) != hashed:
                what = "was changed: its hash is not the one that a result names"
                self._problems.add(name, what)
