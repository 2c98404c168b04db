"""The command line: ``daena-kms``.

Exit status: 0 done, 1 something failed or is wrong, 2 bad usage or settings, 130 ended by Ctrl-C.
"""

import gc
import io
import sys
import threading
from types import TracebackType

#: How many new objects make Python look for garbage. Imported modules never become garbage, but
#: with Python's default a tenth of the start is spent on looking at them again and again.
_GARBAGE_THRESHOLD = 50_000

#: The exit status that a shell uses for a command that Ctrl-C ended.
INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_GARBAGE_THRESHOLD)
    threading.excepthook = lambda args: _report(args.exc_type, args.exc_traceback)
    sys.unraisablehook = lambda args: _report(args.exc_type, args.exc_traceback)
    from daena_kms.cli import streams

    streams.open_closed()
    from daena_kms.cli.app import app
    from daena_kms.settings import drop_empty

    drop_empty()

    # Characters that an old locale can't show are escaped, so that no log entry makes it fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="daena-kms")
    except KeyboardInterrupt:  # outside the code in which Typer or we handle it
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    except SystemExit:
        _end_output()
        raise
    except BaseException as error:  # noqa: BLE001 - Python would print its text and a traceback
        if isinstance(error, OSError):
            _end_output()
        _report(type(error), error.__traceback__)
        sys.exit(1)
    finally:
        # The process ends; otherwise Python would look at all objects once more, for garbage.
        gc.freeze()


def _end_output() -> None:
    """End the program with an error if standard output did not take everything."""
    from daena_kms.cli import streams

    refusal = streams.refusal()
    if refusal is not None:
        streams.drop_output()
        said = streams.said(refusal)
        if said:
            sys.stderr.write(f"Error: {said}\n")
        sys.exit(1)


def _report(error: type[BaseException], traceback: TracebackType | None) -> None:
    """Print what nobody foresaw without its text, which may hold a key's value."""
    from daena_kms.cli.unforeseen import report

    report(error, traceback)
