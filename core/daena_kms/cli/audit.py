"""The commands on the audit log."""

from functools import partial
from typing import Annotated

import typer

from daena_kms.cli.common import (
    FAILED,
    AsJson,
    Provider,
    adapter_for,
    console,
    print_json,
    reporting,
    tell,
)

app = typer.Typer(
    help="Read and verify the audit log.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("log")
def show_log(
    key: Annotated[str | None, typer.Option(help="Show only this key.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Show only entries since this time, such as 2026-11-24T00:00:00Z."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was done, when, by whom and why."""
    from daena_kms.audit import open_log
    from daena_kms.audit.problems import PassedOver
    from daena_kms.audit.reader import history
    from daena_kms.cli.render import history_table
    from daena_kms.rules.durations import parse_time
    from daena_kms.rules.names import check_key_id

    with reporting(as_json=as_json):
        start = parse_time(since, "--since") if since is not None else None
        only = None if key is None else check_key_id(key)
        passed_over = PassedOver()
        rows = list(history(open_log(), key_id=only, since=start, passed_over=passed_over))
        note = passed_over.note()
        if note is not None:
            tell(note, "yellow", stderr=True)
        if as_json:
            print_json({"entries": rows} | ({"note": note} if note is not None else {}))
        else:
            console().print(history_table(rows))


@app.command("verify")
def verify_log(
    since: Annotated[
        str | None,
        typer.Option(
            help="A closing record that you kept elsewhere, name@sha256:…; it must still be there."
        ),
    ] = None,
    log_only: Annotated[
        bool, typer.Option("--log-only", help="Do not compare the log with the store.")
    ] = False,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Check the log against itself and the store. Ends with 1 if something is wrong."""
    from datetime import UTC, datetime

    from daena_kms.audit import open_log
    from daena_kms.audit.verify import Problem, verify
    from daena_kms.cli.render import report_table
    from daena_kms.engine.generation import older

    with reporting(as_json=as_json):
        log = open_log()
        store, now = None if log_only else adapter_for(provider).store, datetime.now(UTC)
        report = (
            verify(log, None, since, now)
            if store is None
            else verify(log, store.inventory(), since, now, older=partial(older, store))
        )
        if not report.objects:
            # A mistyped address looks like an empty log, which must not pass as verified.
            report.problems.append(
                Problem(log.url, "holds no record: check the address of the log")
            )
        if as_json:
            print_json(report.to_dict())
        else:
            console().print(report_table(report))
            verdict = "nothing is wrong" if report.ok else "something is wrong"
            tell(f"{report.objects} objects of {report.runs} runs: {verdict}.")
            if report.newest is not None:
                text = f"Keep this elsewhere, for --since: {report.newest}"
                tell(text, soft_wrap=True)
        if not report.ok:
            raise typer.Exit(FAILED)
