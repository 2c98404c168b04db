"""The commands on keys."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from daena_kms.cli import changes, doctor, policy, rotate, seal
from daena_kms.cli.common import (
    FAILED,
    AsJson,
    DestroyAfter,
    Grace,
    Keep,
    KeyId,
    Provider,
    Reason,
    RotateAfter,
    Spec,
    Yes,
    adapter_for,
    checked_reason,
    confirm,
    console,
    print_json,
    reporting,
    say,
    services,
    tags_from,
    tell,
)
from daena_kms.cli.examples import add_examples
from daena_kms.cli.usage import Commands
from daena_kms.cli.values import ends_with_newline, read_value, write_value
from daena_kms.rules.durations import format_time

if TYPE_CHECKING:
    from daena_kms.rules.model import Key
    from daena_kms.stores.adapter import CloudKMSAdapter

app = typer.Typer(
    cls=Commands,
    help="Rotate the keys that applications use, in the cloud where they live, and prove it.",
    epilog="Exit status: 0 done, 1 something failed or is wrong, 2 bad usage or settings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing the help took longer than everything else
)
app.add_typer(seal.app, name="audit")
app.add_typer(policy.app, name="policy")


@app.command()
def plan(
    fail_if_overdue: Annotated[
        bool,
        typer.Option(
            "--fail-if-overdue",
            help="End with 1 if a key is due or can't be rotated, to gate a release.",
        ),
    ] = False,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do with each managed key, and why. Changes nothing."""
    from daena_kms.cli.render import plan_table
    from daena_kms.engine import run
    from daena_kms.rules.summary import action_record

    with reporting(as_json=as_json):
        summary = run(adapter_for(provider), None, dry_run=True)
        if as_json:
            print_json({"actions": [action_record(a) for a in summary.actions]})
        elif summary.actions:
            console().print(plan_table(summary.actions))
        else:
            tell("There is no managed key. Create one with create, or enrol one with adopt.")
        overdue = summary.overdue_or_failing if fail_if_overdue else []
        if overdue:
            tell(f"Overdue: {', '.join(overdue)}", "red", stderr=True)
            raise typer.Exit(FAILED)


@app.command()
def create(
    key: KeyId,
    spec: Spec = None,
    rotate_after: RotateAfter = None,
    grace: Grace = None,
    destroy_after: DestroyAfter = None,
    keep: Keep = None,
    value_stdin: Annotated[
        bool,
        typer.Option(
            "--value-stdin",
            help='Store exactly the bytes on standard input: printf %s "$VALUE" | …',
        ),
    ] = False,
    reason: Reason = None,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Create a managed key with a fresh value, which is not shown."""
    from daena_kms.operations import Operations

    with reporting(as_json=as_json):
        why = checked_reason(reason)
        material = read_value(key) if value_stdin else None
        warning = ends_with_newline(material or "")
        if warning is not None:
            tell(warning, "yellow", stderr=True)
        tags = tags_from(
            rotate_after=rotate_after, grace=grace, destroy_after=destroy_after, keep=keep
        )
        operations = Operations(*services(provider), reason=why)
        version = operations.create(key, material, spec=spec, tags=tags)
        say({"key": key, "version": version}, f"Created {key}, version {version}.", as_json)


@app.command()
def adopt(
    key: KeyId,
    spec: Annotated[str, typer.Option(help="The kind of value that the key holds.")],
    rotate_after: RotateAfter = None,
    grace: Grace = None,
    destroy_after: DestroyAfter = None,
    keep: Keep = None,
    first_due: Annotated[
        str | None,
        typer.Option(help="When the key is first due. By default spread over the interval."),
    ] = None,
    reason: Reason = None,
    provider: Provider = None,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Enrol a key that is already in the store. It is not rotated before it is first due."""
    from daena_kms.operations import Operations

    with reporting(as_json=as_json):
        why = checked_reason(reason)
        tags = tags_from(
            rotate_after=rotate_after,
            grace=grace,
            destroy_after=destroy_after,
            keep=keep,
            first_due=first_due,
        )
        confirm(f"{key} will get new values. Does every consumer read it from the store?", yes=yes)
        adapter, log = services(provider)
        due = Operations(adapter, log, reason=why).adopt(key, spec=spec, tags=tags)
        text = f"Adopted {key}; first due at {format_time(due)}."
        document: dict[str, object] = {"key": key, "first_due": format_time(due)}
        note = adapter.store.can.adopt_note
        say(document | ({"note": note} if note else {}), f"{text} {note or ''}".rstrip(), as_json)


@app.command("list")
def list_keys(provider: Provider = None, as_json: AsJson = False) -> None:
    """List the managed keys and their policies."""
    from daena_kms.cli.render import keys_table
    from daena_kms.engine.documents import key_document
    from daena_kms.errors import ConfigError
    from daena_kms.rules.policy import MANAGED, Policy, parse_policy

    with reporting(as_json=as_json):
        adapter = adapter_for(provider)
        keys = [key for key in adapter.store.scan() if key.tags.get(MANAGED) != "false"]
        if as_json:
            print_json({"keys": [key_document(key, adapter) for key in keys]})
            return

        def policy_of(key: "Key") -> Policy | str:
            try:
                return parse_policy(key.tags, adapter.defaults, adapter.store.can)
            except ConfigError as error:
                return error.what

        console().print(keys_table([(key, policy_of(key)) for key in keys], datetime.now(UTC)))


@app.command()
def show(
    key: KeyId,
    version: Annotated[
        str | None, typer.Option(help="With --reveal: the id of a version, or previous.")
    ] = None,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Print exactly the value, and a newline only on a terminal."),
    ] = False,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Show one key and its versions. The value is shown only with --reveal."""
    from daena_kms.cli.render import versions_table
    from daena_kms.engine.documents import key_document
    from daena_kms.rules.names import check_key_id

    with reporting(as_json=as_json):
        adapter = adapter_for(provider)
        if reveal:
            write_value(adapter.get_key(key, version), key)
            return
        seen = adapter.store.describe(check_key_id(key), exact=True)
        if as_json:
            print_json(key_document(seen, adapter))
            return
        for name, value in sorted(seen.tags.items()):
            tell(f"{name} = {value}")
        if seen.deleted is not None:
            tell(f"deleted {format_time(seen.deleted)}", "red")
        console().print(versions_table(seen, datetime.now(UTC)))
        _print_capabilities(adapter)


for _change in (
    rotate.rotate,
    *(changes.hold, changes.release, changes.rollback, changes.delete, changes.restore),
    doctor.doctor,
):
    app.command()(_change)


@app.command()
def demo(
    part: Annotated[
        str, typer.Argument(help="local. The parts for the clouds need a clone of the project.")
    ] = "local",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the files, and say where they are.")
    ] = False,
) -> None:
    """Show daena-kms without an account: plan, rotate, recover, audit, and detect tampering."""
    from daena_kms.cli.demo import check_part, show
    from daena_kms.cli.page import Page, scratch

    with reporting(as_json=False):
        check_part(part)
        page = Page()
        with scratch(page, keep=keep) as folder:
            show(page, folder / part)


add_examples(app)


def _print_capabilities(adapter: "CloudKMSAdapter") -> None:
    readable = adapter.store.can.retired_readable
    if readable is not None:
        tell(f"On this store a retired version stays readable {readable}.", "dim")
