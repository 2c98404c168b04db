"""The commands that change one key other than by rotating it: hold, roll back, delete, restore."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from daena_kms.cli.common import (
    FAILED,
    AsJson,
    KeyId,
    Provider,
    Reason,
    Yes,
    asking,
    checked_reason,
    confirm,
    reporting,
    say,
    services,
    tell,
)
from daena_kms.errors import ConfigError
from daena_kms.rules.text import shown

if TYPE_CHECKING:
    from daena_kms.operations import Operations


def hold(
    key: KeyId,
    until: Annotated[
        str | None, typer.Option(help="When the hold ends, such as 2026-12-24T08:00:00Z.")
    ] = None,
    reason: Reason = None,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Put a key on hold: no run changes it until it is released, or until a time."""
    from daena_kms.rules.durations import parse_time

    with reporting(as_json=as_json):
        end = None if until is None else parse_time(until, "--until")
        _operations(provider, reason).hold(key, end)
        text = f"{key} is on hold until {until or 'it is released'}."
        say({"key": key, "hold": until or "true"}, text, as_json)


def release(
    key: KeyId, reason: Reason = None, provider: Provider = None, as_json: AsJson = False
) -> None:
    """End a hold. This rotates nothing; the next run does what is due by then."""
    with reporting(as_json=as_json):
        _operations(provider, reason).release(key)
        say({"key": key, "hold": "false"}, f"{key} is released.", as_json)


def rollback(
    key: KeyId,
    version: Annotated[
        str, typer.Option(help="A version that was current before, as show lists it.")
    ] = "previous",
    reason: Reason = None,
    provider: Provider = None,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Make a new version with an older version's value current. The next run does not undo it."""
    with reporting(as_json=as_json):
        confirm(f"Make the value of {version} current in {key} again?", yes=yes)
        new_version = _operations(provider, reason).rollback(key, version)
        text = f"Rolled {key} back to {version}: version {new_version} has its value."
        say({"key": key, "version": new_version, "value_of": version}, text, as_json)


def delete(
    key: KeyId,
    reason: Reason = None,
    provider: Provider = None,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Delete a key, recoverably. Asks for its name on a terminal; a script needs --yes."""
    with reporting(as_json=as_json):
        _confirm_by_name(key, yes=yes)
        means = _operations(provider, reason).delete(key)
        say({"key": key, "deleted": means}, f"Deleted {key}: {means}.", as_json)


def restore(
    key: KeyId, reason: Reason = None, provider: Provider = None, as_json: AsJson = False
) -> None:
    """Bring a deleted key back, with all the versions that its store kept."""
    with reporting(as_json=as_json):
        left = _operations(provider, reason).restore(key)
        document = {"key": key, "restored": True} | ({"message": left} if left else {})
        say(document, f"Restored {key}" + (f", but {left}." if left else "."), as_json)


def _operations(provider: str | None, reason: str | None) -> "Operations":
    from daena_kms.operations import Operations

    why = checked_reason(reason)
    return Operations(*services(provider), reason=why)


def _confirm_by_name(key: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        msg = "the deletion is not confirmed, and there is no terminal to ask on"
        raise ConfigError(msg, key_id=key, todo="Pass --yes")
    question = shown(f"Nobody will be able to read {key}. Type its name to delete it")
    with asking():
        typed = typer.prompt(question, err=True)
    if typed != key:
        tell("Nothing was changed.", stderr=True)
        raise typer.Exit(FAILED)
