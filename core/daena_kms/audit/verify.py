"""Check the log against itself and against the store, and name the exact object that is wrong."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from daena_kms.audit.compare import (
    CONFIRMED,
    OUT_OF_BAND,
    UNCONFIRMED,
    Finding,
    compare,
    missing_keys,
)
from daena_kms.audit.reader import records
from daena_kms.audit.records import (
    CLOSING,
    CLOSING_SEQ,
    RECOVERY,
    decode,
    digest,
    encode,
    object_name,
    split_name,
)
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.objects.base import Objects
from daena_kms.rules.model import Key

__all__ = ["CONFIRMED", "OUT_OF_BAND", "UNCONFIRMED", "Finding", "Problem", "Report", "verify"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the log; ``name`` is the object or the run that is wrong."""

    name: str
    what: str


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


@dataclass(slots=True)
class _Run:
    hashes: dict[int, str] = field(default_factory=dict)
    records: dict[int, dict[str, Any]] = field(default_factory=dict)


def verify(
    objects: Objects,
    keys: Iterable[Key] | None = None,
    since: str | None = None,
    *,
    older: Callable[[Iterable[Mapping[str, object]]], str | None] | None = None,
) -> Report:
    """Check every object of the log.

    Args:
        objects: The log.
        keys: A store's listing. Each version in it is then confirmed (a result names it),
            unconfirmed (there is an intent and no result: a crash) or out-of-band (neither).
        since: A closing record as an earlier report gave it, ``name@hash``. It, and everything
            that it covers, must still be there, unchanged.
        older: Takes the counts of the closing records, and returns how the store is older than
            they say (:func:`daena_kms.engine.generation.older`).

    Raises:
        AuditUnavailable: The log can't be read.
        ConfigError: ``since`` names no closing record.
    """
    report = Report()
    anchor = check_anchor(since)
    # List the store first: the log then has at least the intent of each version in the listing.
    listed = None if keys is None else list(keys)
    runs = _load(objects, report)
    for prefix, run in runs.items():
        _check_run(prefix, run, report)
    _check_chain(runs, report, anchor)
    _check_manifests(objects, runs, report)
    if listed is not None:
        every = [record for run in runs.values() for record in run.records.values()]
        report.findings = compare(every, listed)
        report.notes += missing_keys(every, {key.id for key in listed})
    if older is not None:
        closed = (run.records.get(CLOSING_SEQ) for run in runs.values())
        problem = older([record["counts"] for record in closed if record])
        if problem is not None:
            report.problems.append(Problem(objects.url, problem))
    return report


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


def _load(objects: Objects, report: Report) -> dict[str, _Run]:
    runs: dict[str, _Run] = {}
    for name, data in records(objects):
        report.objects += 1
        parts = split_name(name)
        if parts is None:
            report.problems.append(Problem(name, "is not named like an object of the log"))
            continue
        run = runs.setdefault(parts[0], _Run())
        run.hashes[parts[2]] = digest(data)
        try:
            record = decode(data, name)
        except AuditUnavailable:
            report.problems.append(Problem(name, "is not a well-formed record"))
            continue
        if encode(record) != data:
            report.problems.append(Problem(name, "is not in the exact form of a record"))
        if record["run"] != parts[1] or record["seq"] != parts[2]:
            report.problems.append(Problem(name, "says that it is of another run or number"))
        elif (record["type"] == CLOSING) != (parts[2] == CLOSING_SEQ):
            report.problems.append(Problem(name, "has a type that does not fit its number"))
        else:
            run.records[parts[2]] = record
    report.runs = len(runs)
    return runs


def _check_run(prefix: str, run: _Run, report: Report) -> None:
    """Check the chain within a run: no gap, each record holding the hash of the one before."""
    numbers = sorted(n for n in run.hashes if n != CLOSING_SEQ)
    for seq in range(numbers[-1] + 1 if numbers else 0):
        if seq not in run.hashes:
            report.problems.append(Problem(object_name(prefix, seq), "is missing"))
    closing = run.records.get(CLOSING_SEQ)
    listed = closing["objects"] if closing is not None else []
    for seq in range(numbers[-1] + 1 if numbers else 0, len(listed)):
        report.problems.append(Problem(object_name(prefix, seq), "is missing"))
    for seq, expected in enumerate(listed):
        if run.hashes.get(seq, expected) != expected:
            what = "was changed: its hash is not the one in the run's closing record"
            report.problems.append(Problem(object_name(prefix, seq), what))
    if closing is not None and len(numbers) > len(listed):
        what = "was added: the run's closing record does not list it"
        added = [n for n in numbers if n >= len(listed)]
        report.problems += [Problem(object_name(prefix, seq), what) for seq in added]
    for seq, record in sorted(run.records.items()):
        before = len(listed) - 1 if seq == CLOSING_SEQ else seq - 1
        expected = run.hashes.get(before) if before >= 0 else None
        if record["prev_hash"] != expected and (before in run.hashes or before < 0):
            if closing is not None and before < len(listed) and listed[before] != expected:
                continue  # the changed object is named already
            what = (
                f"was changed, or {object_name(prefix, before)} was"
                if before >= 0
                else "names a record before it, but is the first of its run"
            )
            report.problems.append(Problem(object_name(prefix, seq), what))


def _check_chain(runs: dict[str, _Run], report: Report, anchor: tuple[str, str] | None) -> None:
    """Check what runs say about other runs' closing records, and about runs that have none."""
    closings = {
        object_name(prefix, CLOSING_SEQ): run.hashes[CLOSING_SEQ]
        for prefix, run in runs.items()
        if CLOSING_SEQ in run.hashes
    }
    expected = [anchor] if anchor else []
    reported: set[str] = set()
    for run in runs.values():
        for record in run.records.values():
            if record["type"] == CLOSING:
                expected += record["saw"].items()
                _check_unclosed(record["open"], runs, report)
                reported |= record["open"].keys()
            elif record["type"] == RECOVERY:
                _check_unclosed(record["runs"], runs, report)
                reported |= record["runs"].keys()
    for name, hashed in sorted(set(expected)):
        if name not in closings:
            report.problems.append(Problem(name, "is missing: a later run saw this closing record"))
        elif closings[name] != hashed:
            what = "was changed: its hash is not the one that a later run saw"
            report.problems.append(Problem(name, what))
    _note_unclosed(runs, reported, report)
    newest = max(closings, key=lambda name: _time(runs, name), default=None)
    report.newest = f"{newest}@{closings[newest]}" if newest is not None else None


def _check_manifests(objects: Objects, runs: dict[str, _Run], report: Report) -> None:
    """Check that the manifests that results name are there; their content is not checked."""
    records = (record for run in runs.values() for record in run.records.values())
    rows = (row for record in records for row in record.get("results", ()))
    for ref in sorted({row["manifest"] for row in rows if row.get("manifest")}):
        name, _, hashed = ref.partition("@")
        data = objects.get(name)
        if data is None:
            report.problems.append(Problem(name, "is missing: a result names this manifest"))
        elif digest(data) != hashed:
            what = "was changed: its hash is not the one that a result names"
            report.problems.append(Problem(name, what))


def _note_unclosed(runs: dict[str, _Run], reported: set[str], report: Report) -> None:
    for prefix, run in runs.items():
        if CLOSING_SEQ not in run.hashes:
            known = "a later run recovered it" if prefix in reported else "the next run will look"
            what = "has no closing record: the run was interrupted, or is still running"
            report.notes.append(f"{prefix} {what}; {known}")


def _time(runs: dict[str, _Run], name: str) -> tuple[bool, datetime]:
    record = runs[name[: name.rindex("/") + 1]].records.get(CLOSING_SEQ)
    if record is None:
        return False, datetime.min.replace(tzinfo=UTC)
    return True, datetime.fromisoformat(record["time"])


def _check_unclosed(reported: dict[str, Any], runs: dict[str, _Run], report: Report) -> None:
    """Check that the objects that a later run saw of unclosed runs are still there, unchanged."""
    for prefix, hashes in reported.items():
        run = runs.get(prefix, _Run())
        for seq, hashed in enumerate(hashes):
            name = object_name(prefix, seq)
            if seq not in run.hashes:
                problem = Problem(name, "is missing: a later run saw it")
            elif run.hashes[seq] != hashed:
                what = "was changed: its hash is not the one that a later run saw"
                problem = Problem(name, what)
            else:
                continue
            if problem not in report.problems:
                report.problems.append(problem)
