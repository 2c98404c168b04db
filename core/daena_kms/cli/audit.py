"""The commands on the audit log."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from daena_kms.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from daena_kms.audit.verify import Report
    from daena_kms.objects.base import Objects
    from daena_kms.stores.base import Store

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
    folder: Annotated[
        Path | None,
        typer.Argument(help="A folder that audit export wrote: checked offline.", metavar="[DIR]"),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Who is trusted to have signed the seals, as audit key prints it."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="What you kept elsewhere: a checkpoint's file, or a closing record's "
            "name@sha256:…; what it covers must still be there."
        ),
    ] = None,
    log_only: Annotated[
        bool, typer.Option("--log-only", help="Do not compare the log with the store.")
    ] = False,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Check the log against itself, its seals and the store. Ends with 1 if something is wrong."""
    from datetime import UTC, datetime

    from daena_kms.audit.verify import Problem
    from daena_kms.cli.render import report_table

    with reporting(as_json=as_json):
        log, place = _places(folder)
        store = None if log_only or folder is not None else adapter_for(provider).store
        report = _verified(log, place, key or [], since, store, datetime.now(UTC))
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
            if place is None:
                tell("The log is not sealed: DAENA_KMS_SEAL_URL is not set.")
            if report.newest is not None:
                text = f"Keep this elsewhere, for --since: {report.newest}"
                tell(text, soft_wrap=True)
        if not report.ok:
            raise typer.Exit(FAILED)


def _places(folder: "Path | None") -> "tuple[Objects, Objects | None]":
    """Return the log and the place for its seals: an exported folder is both.

    Raises:
        ConfigError: There is no such folder, or the addresses are missing or malformed.
    """
    from daena_kms.audit import open_log
    from daena_kms.seal import open_seals

    if folder is None:
        return open_log(), open_seals()
    if not folder.is_dir():
        msg = f"{folder} is not a folder"
        raise ConfigError(msg, todo="Give a folder that audit export wrote")
    from daena_kms.objects.files import FileObjects

    exported = FileObjects(folder.absolute())
    return exported, exported


def _verified(
    log: "Objects",
    place: "Objects | None",
    given: list[str],
    since: str | None,
    store: "Store | None",
    now: "datetime",
) -> "Report":
    """Return the report on a log, its seals if there are any, and the store if it is compared."""
    from daena_kms.audit.verify import verify
    from daena_kms.engine.generation import older
    from daena_kms.seal.check import SealCheck
    from daena_kms.seal.ledger import Ledger
    from daena_kms.seal.trusted import read_since, trusted_keys
    from daena_kms.settings import Settings

    keys = trusted_keys(Settings.load(), given)
    anchor, checkpoint = read_since(since, keys)
    if place is None and (given or checkpoint is not None):
        todo = "Set DAENA_KMS_SEAL_URL, or give the folder that audit export wrote"
        raise ConfigError("there is no place for seals", todo=todo)
    with Ledger() as ledger:
        seals = None if place is None else SealCheck(place, keys, ledger, checkpoint)
        if store is None:
            report = verify(log, None, anchor, now, seals=seals)
        else:
            inventory = store.inventory()
            report = verify(log, inventory, anchor, now, older=partial(older, store), seals=seals)
    return report
