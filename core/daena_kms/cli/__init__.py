"""The command line: ``daena-kms``.

Exit status: 0 done, 1 something failed, 2 bad usage, 130 ended by Ctrl-C.
"""

import gc
import io
import sys

#: How many objects there may be more before Python looks for garbage. What a command imports is
#: none: with Python's own number a tenth of a start goes into looking at it again and again.
_OBJECTS = 50_000

#: As a shell has it for a command that Ctrl-C ended.
INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_OBJECTS)
    from daena_kms.cli.app import app

    # What an old locale can't show is escaped: a log entry is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="daena-kms")
    except KeyboardInterrupt:  # between what Typer and we wait for it in
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    finally:
        # The process ends: Python would look at all of it once more, for garbage.
        gc.freeze()
