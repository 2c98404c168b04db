"""Tables for people."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from daena_kms.rules.durations import about, format_duration
from daena_kms.rules.plan import Action, Kind, Outcome

if TYPE_CHECKING:
    from daena_kms.audit.verify import Report
    from daena_kms.doctor.check import Check
    from daena_kms.rules.model import Key, Revoking
    from daena_kms.rules.policy import Policy
    from daena_kms.rules.summary import Summary

_STYLES = {
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
    """Return a text without what would steer the terminal: the log holds other people's words."""
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text), style)


def table(*columns: str) -> Table:
    """Return a table in the one look that all have; long texts fold, none is cut."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def plan_table(actions: Iterable[Action]) -> Table:
    """Return a plan: each key, what is to be done with it, and why."""
    made = table("key", "action", "why")
    for action in actions:
        made.add_row(
            cell(action.key_id), cell(action.kind, _STYLES[action.kind]), cell(action.reason)
        )
    return made


def summary_table(summary: "Summary") -> Table:
    """Return what a run did: each key and what became of it, with the reason where it failed."""
    made = table("key", "result", "")
    counted = summary.to_dict()
    styles = {"failed": "red", "left": "yellow", "skipped": "blue", "held": "blue"}
    for name in counted["counts"]:
        ids = counted.get(name)
        for key_id in ids if isinstance(ids, list) else ():
            error = summary.errors.get(key_id)
            about_it = str(error) if error is not None and name == "failed" else ""
            if name in {"skipped", "revoked"}:
                about_it = summary.notes.get(key_id, "")
            elif name in {"rotated", "finished"}:
                about_it = f"version {summary.new_versions.get(key_id, '')}"
            made.add_row(cell(key_id), cell(name, styles.get(name, "green")), cell(about_it))
    return made


def revoking_text(revoking: "Revoking") -> str:
    """Return what retiring a compromised version at once comes to on this store."""
    return (
        f"What is retired at once: {revoking.means}.\n"
        f"Still reads it: {revoking.readable or 'nobody'}.\n"
        f"Breaks off: {revoking.breaks}.\n"
        f"To undo it: {revoking.undo}."
    )


def keys_table(rows: Iterable[tuple["Key", "Policy | str"]], now: datetime) -> Table:
    """Return the managed keys with their policy; a string says why a policy is refused."""
    made = table("key", "spec", "rotate-after", "grace", "last rotated", "versions")
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
        made.add_row(cell(key.id), *words, age, str(len(key.versions)))
    return made


def versions_table(key: "Key", now: datetime) -> Table:
    """Return one key's versions."""
    made = table("version", "state", "made", "superseded", "retired")
    for version in key.versions:
        times = (version.created, version.superseded, version.retired)
        ages = (f"{about(now - t)} ago" if t is not None else "" for t in times)
        made.add_row(cell(version.id), cell(version.state), *ages)
    return made


def history_table(rows: Iterable[dict[str, Any]]) -> Table:
    """Return the log's entries, oldest first."""
    made = table("time", "key", "action", "result", "by", "why")
    for row in rows:
        why = row.get("reason") or row.get("message") or row.get("why") or ""
        made.add_row(
            cell(str(row["time"])[:19].replace("T", " ")),
            cell(row["key"]),
            cell(row["kind"]),
            cell(row["result"], "green" if row["result"] == Outcome.DONE else "yellow"),
            cell(f"{row['principal']} ({row['trigger']})"),
            cell(why),
        )
    return made


def report_table(report: "Report") -> Table:
    """Return what a verification found, the wrong things first."""
    made = table("what", "finding")
    for problem in report.problems:
        made.add_row(cell(problem.name), cell(problem.what, "red"))
    for note in report.notes:
        made.add_row(cell("note"), cell(note, "yellow"))
    for finding in report.findings:
        name = f"{finding.key_id} {finding.version}"
        made.add_row(cell(name), cell(finding.status, _STATUS[finding.status]))
    return made


def checks_table(checks: Iterable["Check"]) -> Table:
    """Return what the doctor found, and how to mend it."""
    made = table("check", "status", "found", "what to do")
    for check in checks:
        status = cell(check.status, _CHECKS[check.status])
        made.add_row(cell(check.name), status, cell(check.found), cell(check.todo))
    return made
