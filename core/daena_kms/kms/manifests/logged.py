"""Compare a chain of manifests with the audit log whose runs they belong to.

The log names each manifest, with its object's hash, in the row of the rotation that it attests.
So neither can be changed or cut off without the other showing it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from daena_kms.audit.reader import records
from daena_kms.audit.records import decode, digest
from daena_kms.audit.verify import Problem
from daena_kms.errors import AuditUnavailable, ManifestInvalid
from daena_kms.kms.manifests.chain import Chain
from daena_kms.kms.manifests.format import Manifest
from daena_kms.kms.manifests.format import decode as decode_manifest
from daena_kms.kms.manifests.verify import ChainReport
from daena_kms.objects.base import Objects
from daena_kms.rules.plan import Outcome

#: The kinds of manifests that attest no change of the store.
ELSEWHERE = {"record", "import"}


def compare_with_log(chain: Chain, log: Objects, report: ChainReport) -> None:
    """Add to a report where the audit log and the chain differ.

    Broken records of the log are skipped; ``audit verify`` names them.
    """
    # The chain is read first: by then every manifest in it has its run's intent in the log.
    objects = list(chain.objects())
    rows, intents = _rows(log)
    named = {row["manifest"]: row for row in rows if row.get("manifest")}
    done = {(row["key"], row.get("new_version")) for row in rows if row["result"] == Outcome.DONE}
    refs: dict[str, str] = {}
    for name, data in objects:
        ref = f"{name}@{digest(data)}"
        refs[name] = ref
        try:
            manifest = decode_manifest(data)
        except ManifestInvalid:
            continue  # named by the chain's own verification
        if chain.number(name) and not manifest.old:
            _check(name, manifest, named.get(ref), (done, intents), report)
    for ref in named:
        name = ref.partition("@")[0]
        if name not in refs:
            # It may have been added after the chain was read, like the log's row of it.
            late = log.get(name)
            refs |= {} if late is None else {name: f"{name}@{digest(late)}"}
        if refs.get(name) != ref:
            changed = "was changed: the audit log names another hash"
            what = changed if name in refs else "is missing, but the audit log names it"
            report.problems.append(Problem(name, what))
    report.problems.sort(key=lambda problem: problem.name)


def _rows(log: Objects) -> tuple[list[dict[str, Any]], set[tuple[str, str]]]:
    """Return every result in the log with its run, and the runs and keys of every intent."""
    rows: list[dict[str, Any]] = []
    intents: set[tuple[str, str]] = set()
    for name, data in records(log):
        try:
            record = decode(data, name)
        except AuditUnavailable:
            continue
        rows += [{**row, "run": record["run"]} for row in record.get("results", ())]
        intents |= {(record["run"], action["key"]) for action in record.get("actions", ())}
    return rows, intents


def _check(
    name: str,
    manifest: Manifest,
    row: Mapping[str, Any] | None,
    known: tuple[set[tuple[str, Any]], set[tuple[str, str]]],
    report: ChainReport,
) -> None:
    done, intents = known
    if row is not None:
        wrong = _differs(manifest, row)
        if wrong is not None:
            what = f"names another {wrong} than the audit log's run {row['run']}"
            report.problems.append(Problem(name, what))
    elif manifest.kind in ELSEWHERE:
        report.notes.append(f"{name} is in no record of the audit log: its writer was interrupted")
    elif (manifest.key_id, manifest.version) in done:
        report.notes.append(f"{name}: its run was interrupted, and a later one confirmed it")
    elif (str(manifest.run), manifest.key_id) in intents:
        report.notes.append(f"{name}: its run was interrupted; the next run will look")
    else:
        what = "attests a rotation that is not in the audit log"
        report.problems.append(Problem(name, what))


def _differs(manifest: Manifest, row: Mapping[str, Any]) -> str | None:
    """Return the field in which a manifest and the log's row that names it differ, or ``None``."""
    pairs: Iterable[tuple[str, object, object]] = (
        ("run", manifest.run, row["run"]),
        ("key", manifest.key_id, row["key"]),
        ("kind", manifest.kind, row["kind"]),
        ("version", manifest.version, row.get("new_version")),
    )
    return next((what for what, said, known in pairs if said != known), None)
