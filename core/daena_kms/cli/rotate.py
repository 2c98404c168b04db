"""The command that rotates: keys that are due, keys that are named, or keys that have leaked."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from daena_kms.cli import INTERRUPTED
from daena_kms.cli.common import (
    FAILED,
    AsJson,
    Provider,
    Reason,
    Yes,
    checked_reason,
    confirm,
    console,
    print_json,
    reporting,
    services,
    tell,
    tell_lines,
)
from daena_kms.errors import ConfigError
from daena_kms.rules.text import shown

if TYPE_CHECKING:
    from daena_kms.rules.summary import Summary

#: Runs, and reports its progress to a function if there is one.
_Go = Callable[[Callable[[int, int], None] | None], "Summary"]


def rotate(
    keys: Annotated[
        list[str] | None, typer.Argument(help="The keys to rotate, whether or not they are due.")
    ] = None,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised",
            help="The KEYS have leaked: retire their old versions at once. Needs --reason.",
        ),
    ] = False,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    provider: Provider = None,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Rotate the keys that are due, and retire and destroy by policy; or rotate the named KEYS."""
    from daena_kms.cli.render import plan_table, revoking_text, summary_table
    from daena_kms.engine import run

    with reporting(as_json=as_json):
        asks = not yes and sys.stdin.isatty()
        if compromised:
            _check_emergency(keys, reason, dry_run=dry_run, may_begin=yes or asks)
        why = checked_reason(reason)
        adapter, log = services(provider)
        if dry_run or asks:
            planned = run(adapter, log, keys=keys or None, dry_run=True, compromised=compromised)
            if dry_run and as_json:
                print_json(planned.to_dict())
                return
            console(stderr=not dry_run).print(plan_table(planned.actions))
            if planned.revoking is not None:
                tell_lines(revoking_text(planned.revoking), stderr=not dry_run)
            if dry_run:
                return
            confirm("Do this?", yes=yes)

        def go(progress: Callable[[int, int], None] | None) -> "Summary":
            return run(
                adapter,
                log,
                keys=keys or None,
                reason=why,
                compromised=compromised,
                progress=progress,
            )

        summary = _interruptible(go, as_json=as_json)
        if as_json:
            print_json(summary.to_dict())
        else:
            console().print(summary_table(summary))
            if summary.revoking is not None and summary.revoked:
                tell_lines(revoking_text(summary.revoking))
            tell_lines(_in_words(summary))
        if summary.failed or summary.left:
            raise typer.Exit(FAILED)


def _check_emergency(
    keys: list[str] | None, reason: str | None, *, dry_run: bool, may_begin: bool
) -> None:
    """Raise :class:`ConfigError` if a reason, a key or a confirmation is missing."""
    from daena_kms.rules.emergency import check_emergency

    check_emergency(named=bool(keys), reason=reason, dry_run=dry_run)
    if not dry_run and not may_begin:
        msg = "retiring at once is not confirmed, and there is no terminal to ask on"
        raise ConfigError(msg, todo="Pass --yes")


def _interruptible(go: _Go, *, as_json: bool) -> "Summary":
    try:
        return go(None) if as_json else _with_progress(go)
    except KeyboardInterrupt:
        tell(
            "Interrupted. Work that had begun is finished and in the audit log; the rest is left. "
            "Run the command again to continue.",
            stderr=True,
        )
        raise typer.Exit(INTERRUPTED) from None


def _with_progress(go: _Go) -> "Summary":
    from rich.progress import Progress

    page = console(stderr=True)
    # Without a terminal, Rich would print an empty line.
    with Progress(console=page, transient=True, disable=not page.is_terminal) as bar:
        task = bar.add_task("rotating", total=None)
        return go(lambda done, of: bar.update(task, completed=done, total=of))


def _in_words(summary: "Summary") -> str:
    states = {"keys", "overdue", "lateness"}
    counts = {n: c for n, c in summary.counts().items() if c and n not in states}
    words = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing to do"
    unrevoked = "".join(
        f"Version {shown(version)} of {shown(key_id)} is compromised, but not retired yet. "
        "Once another version is current, the next run of all keys, or of this one, retires it.\n"
        for key_id, versions in summary.unrevoked.items()
        for version in versions
    )
    return f"{unrevoked}{words}; {summary.keys} keys looked at (run {summary.run_id})"
