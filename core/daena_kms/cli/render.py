"""Tables for people."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from daena_kms.rules.durations import about, format_duration
from daena_kms.rules.plan import Action, Kind, Outcome
from daena_kms.rules.text import shown

if TYPE_CHECKING:
    from daena_kms.audit.verify import Report
    from daena_kms.doctor.check import Check
    from daena_kms.rules.model import Key, Revoking
    from daena_kms.rules.policy import Policy
    from daena_kms.rules.summary import Summary

_STYLES = {
    Kind.ENROL: "cyan",
    Kind.ROTATE: "yellow",
    Kind.FINISH: "yellow",
    Kind.RETIRE: "cyan",
    Kind.DESTROY: "magenta",
    Kind.NOTHING: "dim",
    Kind.HELD: "blue",
    Kind.FAILING: "red",
}
_CHECKS = {"ok": "green", "warning": "yellow", "wrong": "red", "unknown": "blue"}
_STATUS = {"confirmed": "green", "unconfirmed": "yellow", "out-of-band": "red"}


def cell(text: str, style: str = "") -> Text:
    """Return a text that does nothing to a terminal: other people wrote tags, ids and the log."""
    return Text(shown(text), style)


def table(*columns: str) -> Table:
    """Return an empty table. Long text is folded, never cut."""
    new = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        new.add_column(column, overflow="fold")
    return new


def plan_table(actions: Iterable[Action]) -> Table:
    """Return a plan: each key, what will be done with it, and why."""
    page = table("key", "action", "why")
    for action in actions:
        page.add_row(
            cell(action.key_id), cell(action.kind, _STYLES[action.kind]), cell(action.reason)
        )
    return page


def summary_table(summary: "Summary") -> Table:
    """Return what a run did: each key and its result, with the reason if it failed."""
    page = table("key", "result", "")
    counted = summary.to_dict()
    styles = {"failed": "red", "left": "yellow", "skipped": "blue", "held": "blue"}
    for name in counted["counts"]:
        ids = counted.get(name)
        for key_id in ids if isinstance(ids, list) else ():
            error = summary.errors.get(key_id)
            detail = str(error) if error is not None and name == "failed" else ""
            if name in {"skipped", "revoked", "enrolled"}:
                detail = summary.notes.get(key_id, "")
            elif name in {"rotated", "finished"}:
                detail = f"version {summary.new_versions.get(key_id, '')}"
                if key_id in summary.unrevoked and key_id in summary.notes:
                    detail += f". {summary.notes[key_id]}"
            page.add_row(cell(key_id), cell(name, styles.get(name, "green")), cell(detail))
    return page


def revoking_text(revoking: "Revoking") -> str:
    """Return what retiring a compromised version at once means on this store."""
    return (
        f"What happens to the old version: {shown(revoking.means)}.\n"
        f"Who can still read it: {shown(revoking.readable or 'nobody')}.\n"
        f"What stops working: {shown(revoking.breaks)}.\n"
        f"How to read it again: {shown(revoking.undo)}."
    )


def keys_table(rows: Iterable[tuple["Key", "Policy | str"]], now: datetime) -> Table:
    """Return the managed keys with their policies. A string says why a policy is refused."""
    page = table("key", "spec", "rotate-after", "grace", "last rotated", "versions")
    for key, policy in rows:
        current = key.current
        age = f"{about(now - current.created)} ago" if current is not None else "never"
        words = (
            (cell(policy, "red"), cell(""), cell(""))
            if isinstance(policy, str)
            else (
                cell(policy.spec.text),
                cell(format_duration(policy.rotate_after)),
                cell(format_duration(policy.grace)),
            )
        )
        # Where labels are short, a listing does not show the versions that have none.
        more = " or more" if any(version.gives_way for version in key.versions) else ""
        page.add_row(cell(key.id), *words, age, f"{len(key.versions)}{more}")
    return page


def policy_table(document: Mapping[str, Any]) -> Table:
    """Return each field of a key's policy, its value, and where that comes from."""
    page = table("field", "value", "from")
    for name, found in document["fields"].items():
        where = " ".join(filter(None, (found["source"], found["set_by"])))
        page.add_row(name.replace("_", "-"), cell(found["value"] or "none"), where)
    return page


def policy_lines(document: Mapping[str, Any]) -> Iterator[Text]:
    """Yield what a key's policy leads to, a line each."""
    if document["error"] is not None:
        for tag, text in sorted(document["tags"].items()):
            yield cell(f"{tag} = {text}")
        return
    least = f"the least is {document['min_bits']} (DAENA_KMS_MIN_BITS)"
    yield cell(f"a fresh value has {document['bits']:g} bits of entropy; {least}")
    if document["hold"] != "false":
        until = "released" if document["hold"] == "true" else document["hold"]
        yield cell(f"on hold until {until}")
    yield cell(f"next due: {document['due'] or 'unknown, because it has no current version'}")
    oldest, gone = document["oldest_previous"], document["next_destroyed"]
    if oldest is not None:
        yield cell(f"oldest previous version {oldest['version']}: {_outlook(oldest)}")
    if gone is not None:
        yield cell(f"retired version {gone['version']}: {_outlook(gone)}")


def _outlook(found: Mapping[str, Any]) -> str:
    retired = f"retired at {found['retired']}" if found["retired"] else "never retired"
    if found["destroyed"] is None:
        return f"{retired}, never destroyed"
    return f"{retired}, destroyed at {found['destroyed']} at the earliest: {found['why']}"


def versions_table(key: "Key", now: datetime) -> Table:
    """Return one key's versions."""
    page = table("version", "state", "made", "superseded", "retired")
    for version in key.versions:
        times = (version.created, version.superseded, version.retired)
        ages = (f"{about(now - t)} ago" if t is not None else "" for t in times)
        state = f"{version.state}, compromised" if version.compromised else str(version.state)
        state = f"{state}, kept by its id" if version.unlabelled else state
        if version.to_be_destroyed is not None:
            state = f"to be {state} in {about(version.to_be_destroyed - now)}"
        page.add_row(cell(version.id), cell(state, "red" if version.to_revoke else ""), *ages)
    return page


def history_table(rows: Iterable[dict[str, Any]]) -> Table:
    """Return the log's entries, oldest first."""
    page = table("time", "key", "action", "result", "by", "why")
    for row in rows:
        why = row.get("reason") or row.get("message") or row.get("why") or ""
        page.add_row(
            cell(str(row["time"])[:19].replace("T", " ")),
            cell(row["key"]),
            cell(row["kind"]),
            cell(row["result"], "green" if row["result"] == Outcome.DONE else "yellow"),
            cell(f"{row['principal']} ({row['trigger']})"),
            cell(why),
        )
    return page


def report_table(report: "Report") -> Table:
    """Return the findings of a verification, the problems first."""
    page = table("what", "finding")
    for problem in report.problems:
        page.add_row(cell(problem.name), cell(problem.what, "red"))
    for note in report.notes:
        page.add_row(cell("note"), cell(note, "yellow"))
    for finding in report.findings:
        name = f"{finding.key_id} {finding.version}"
        page.add_row(cell(name), cell(finding.status, _STATUS[finding.status]))
    return page


def checks_table(checks: Iterable["Check"]) -> Table:
    """Return the findings of the doctor, and what to do."""
    page = table("check", "status", "found", "what to do")
    for check in checks:
        status = cell(check.status, _CHECKS[check.status])
        page.add_row(cell(check.name), status, cell(check.found), cell(check.todo))
    return page
