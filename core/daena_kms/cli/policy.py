"""The commands on a key's policy: show it, and change it through the audit log."""

from typing import TYPE_CHECKING, Annotated

import typer

from daena_kms.cli.common import (
    FAILED,
    AsJson,
    DestroyAfter,
    Grace,
    Keep,
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
    services,
    tell,
)

if TYPE_CHECKING:
    from daena_kms.errors import DaenaKMSError
    from daena_kms.rules.policy_change import PolicyChange

app = typer.Typer(
    help="Show and change the policies of keys.", no_args_is_help=True, rich_markup_mode=None
)

KeyIds = Annotated[list[str], typer.Argument(help="The ids of the keys.", metavar="KEY...")]


@app.command("show")
def show_policies(keys: KeyIds, provider: Provider = None, as_json: AsJson = False) -> None:
    """Show each field of a policy, where it comes from, and what it leads to."""
    from daena_kms.cli.render import policy_lines, policy_table
    from daena_kms.engine.policies import show_policy

    with reporting(as_json=as_json):
        adapter = adapter_for(provider)
        documents = [show_policy(adapter, key) for key in dict.fromkeys(keys)]
        if as_json:
            print_json({"policies": documents})
            return
        for document in documents:
            tell(f"key {document['key']}")
            if document["error"] is not None:
                message = str(document["error"]["message"])
                tell(f"Refused: {message}", "red", stderr=True)
            else:
                console().print(policy_table(document))
            for line in policy_lines(document):
                console().print(line, soft_wrap=True)


@app.command("set")
def set_policies(
    keys: KeyIds,
    spec: Spec = None,
    rotate_after: RotateAfter = None,
    grace: Grace = None,
    destroy_after: DestroyAfter = None,
    keep: Keep = None,
    first_due: Annotated[
        str | None, typer.Option(help="The key is not due before this time.")
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            help="Remove this part of the policy, such as grace, so that the default holds again. "
            "May be given several times.",
            metavar="NAME",
        ),
    ] = None,
    reason: Reason = None,
    provider: Provider = None,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Change the policies of keys through the audit log. Rotates nothing; a hold stays."""
    with reporting(as_json=as_json):
        changes = _changes(
            unset or [],
            spec=spec,
            rotate_after=rotate_after,
            grace=grace,
            destroy_after=destroy_after,
            keep=keep,
            first_due=first_due,
        )
        named, why = list(dict.fromkeys(keys)), checked_reason(reason)
        failed = _set(named, changes, provider, why, as_json=as_json, yes=yes)
    if failed:
        raise typer.Exit(FAILED)


def _changes(unset: list[str], **given: object) -> dict[str, object]:
    """Return the fields to set, and those to remove as ``None``.

    Raises:
        ConfigError: One is both set and removed, or there is no such field.
    """
    from daena_kms.errors import ConfigError
    from daena_kms.rules.fields import field_named, named

    changes = {name: value for name, value in given.items() if value is not None}
    for text in unset:
        name = field_named(text)
        if name in given and given[name] is not None:
            msg = f"{named(name)} is both set and unset"
            raise ConfigError(msg, todo=f"Give --{named(name)} or --unset {named(name)}")
        changes[name] = None
    return changes


def _set(
    keys: list[str],
    changes: dict[str, object],
    provider: str | None,
    reason: str | None,
    *,
    as_json: bool,
    yes: bool,
) -> list[str]:
    """Change the keys one after the other, and return those that failed.

    With a single key its error is raised.
    """
    from daena_kms.errors import DaenaKMSError
    from daena_kms.operations import Operations
    from daena_kms.rules.fields import tags_of

    adapter, log = services(provider)
    tags = tags_of(changes, adapter.defaults, adapter.store.can)
    words = ", ".join(
        f"{tag} removed" if text is None else f"{tag} = {text}" for tag, text in tags.items()
    )
    confirm(f"Change the policy of {', '.join(keys)}: {words}?", yes=yes)
    done: list[PolicyChange] = []
    errors: dict[str, DaenaKMSError] = {}
    for key in keys:
        try:
            change = Operations(adapter, log, reason=reason).set_policy(key, changes)
        except DaenaKMSError as error:
            if len(keys) == 1:
                raise
            errors[key] = error
            continue
        done.append(change)
    _say(done, errors, as_json=as_json)
    return list(errors)


def _say(done: "list[PolicyChange]", errors: "dict[str, DaenaKMSError]", *, as_json: bool) -> None:
    if as_json:
        rows = [{"key": k, "error": e.code, "message": str(e)} for k, e in errors.items()]
        print_json({"policies": [change.to_dict() for change in done], "errors": rows})
        return
    for change in done:
        said = f"Changed the policy of {change.key_id}: {change.words}."
        already = f"{change.key_id} has this policy already."
        tell(said if change.tags else already)
    for error in errors.values():
        tell(f"Error: {error}", "red", stderr=True)
