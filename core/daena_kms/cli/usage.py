"""How the command line refuses wrong usage: in safe text, whatever the arguments hold."""

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from daena_kms.rules.text import shown

#: What Typer raises for wrong usage. Newer versions of it bring a copy of Click of their own.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

#: What it raises where a command has no arguments at all, and needs some.
_HELP = "NoArgsIsHelpError"


class Commands(TyperGroup):
    """All commands. An argument that a message quotes comes from a script as often as a person."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options of the program itself."""
        with _one_line():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _one_line():
            return super().invoke(ctx)


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        message = getattr(error, "message", None)
        if isinstance(message, str):
            # Of a command without its arguments, the message is its help, which has many lines.
            lines = message.split("\n") if type(error).__name__ == _HELP else [message]
            text = "\n".join(map(shown, lines))
            error.message = text  # type: ignore[attr-defined] # what Click prints
        raise
