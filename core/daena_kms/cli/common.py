"""What the commands share: options, services, output, and the end of a command after an error."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daena_kms.cli import INTERRUPTED, streams
from daena_kms.errors import ConfigError, DaenaKMSError, InvalidKeyId, unexpected
from daena_kms.rules.text import MAX_REASON, shown

if TYPE_CHECKING:
    from rich.console import Console

    from daena_kms.objects.base import Objects
    from daena_kms.stores.adapter import CloudKMSAdapter

FAILED, USAGE = 1, 2
#: Wide enough that a reason stays on one line if no terminal sets a width.
_PLAIN_WIDTH = 200

KeyId = Annotated[str, typer.Argument(help="The key's id.", metavar="KEY")]
Provider = Annotated[
    str | None,
    typer.Option(help="aws, azure, gcp or local. By default the one in the environment."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Reason = Annotated[str | None, typer.Option(help="The reason, for the audit log.")]
Spec = Annotated[str | None, typer.Option(help="The kind of value, such as aes-256 or token.")]
RotateAfter = Annotated[
    str | None, typer.Option(help="How often it is rotated, such as 90d or 12h.")
]
Grace = Annotated[
    str | None, typer.Option(help="How long the previous version stays readable, or never.")
]
DestroyAfter = Annotated[
    str | None, typer.Option(help="How long after its retirement a version is destroyed, or never.")
]
Keep = Annotated[int | None, typer.Option(help="How many versions are always kept.")]


def console(*, stderr: bool = False) -> "Console":
    """Return a console for people, as wide as the terminal; a wide one if there is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _PLAIN_WIDTH, highlight=False)


def tell(text: object, style: str = "", *, stderr: bool = False, soft_wrap: bool = False) -> None:
    """Print one line for people. Whatever it holds, it does nothing to the terminal.

    It is printed as it is: brackets are no markup, and ``:name:`` is no emoji. Only a terminal
    makes several lines of it, and not where ``soft_wrap`` leaves that to the terminal itself.
    """
    from rich.text import Text

    # Rich's own idea of a terminal depends on variables such as FORCE_COLOR.
    soft_wrap = soft_wrap or not (sys.stderr if stderr else sys.stdout).isatty()
    console(stderr=stderr).print(Text(shown(text), style), soft_wrap=soft_wrap)


def tell_lines(text: str, *, stderr: bool = False) -> None:
    """Print lines for people. What is not ours in ``text`` is :func:`shown` already."""
    for line in text.splitlines():
        tell(line, stderr=stderr)


def services(provider: str | None) -> "tuple[CloudKMSAdapter, Objects]":
    """Return the adapter and the audit log."""
    from daena_kms.audit import open_log

    return adapter_for(provider), open_log()


def adapter_for(provider: str | None) -> "CloudKMSAdapter":
    """Return the adapter for ``--provider``, or for the environment."""
    from daena_kms.cloud_kms import get_cloud_kms_adapter

    return get_cloud_kms_adapter(provider)


def checked_reason(reason: str | None) -> str | None:
    """Return ``--reason``.

    Raises:
        ConfigError: it is longer than the HTTP API would take it.
    """
    if reason is not None and len(reason) > MAX_REASON:
        msg = f"--reason has {len(reason):,} characters, and the most are {MAX_REASON}"
        raise ConfigError(msg, todo="Shorten it, and name a ticket for the rest")
    return reason


def tags_from(**options: object) -> dict[str, str]:
    """Return the ``daena.*`` tags for the options that were given."""
    return {
        f"daena.{name.replace('_', '-')}": str(value)
        for name, value in options.items()
        if value is not None
    }


def print_json(document: Any) -> None:
    """Print a document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True) + "\n")


def say(document: dict[str, object], text: str, as_json: bool) -> None:
    """Print what was done: JSON for machines, or one line for people."""
    if as_json:
        print_json(document)
    else:
        tell(text)


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """End the command as a shell expects it if Ctrl-C is pressed at a question."""
    try:
        yield
    except typer.Abort as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
    else:
        return
    sys.stderr.write("\n")  # the question's line has no end
    tell("Interrupted. Nothing was changed.", stderr=True)
    raise typer.Exit(INTERRUPTED)


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation on a terminal, unless ``yes``. Ends the command if the answer is no."""
    if yes or not sys.stdin.isatty():
        return
    with asking():
        agreed = typer.confirm(shown(question), default=False, err=True)
    if not agreed:
        tell("Nothing was changed.", stderr=True)
        raise typer.Exit(FAILED)


@contextlib.contextmanager
def reporting(*, as_json: bool) -> Iterator[None]:
    """End the command with a message and an exit status if an error is raised.

    Of an error that nobody foresaw, only its type and its place in our code are shown: its text
    and its traceback may hold a key's value.
    """
    from daena_kms.cli.unforeseen import one_line_logs

    with one_line_logs():
        try:
            yield
        except DaenaKMSError as error:
            failure = error
        except (typer.Exit, typer.Abort, EOFError, BrokenPipeError):
            raise  # Typer's own
        except OSError as error:
            if streams.refusal() is not None:
                raise  # the program's end says so
            failure = unexpected(error)
        except Exception as error:  # noqa: BLE001 - a traceback would show what the error holds
            failure = unexpected(error)
        else:
            return
    if as_json:
        print_json({"error": {"error": failure.code, "message": str(failure)}})
    else:
        tell(f"Error: {failure}", "red", stderr=True)
    usage = isinstance(failure, (ConfigError, InvalidKeyId))
    raise typer.Exit(USAGE if usage else FAILED)
