"""The command line: ``daena-kms``. Exit status: 0 done, 1 something failed, 2 bad usage."""

import io
import sys


def main() -> None:
    """Run the command line."""
    from daena_kms.cli.app import app  # noqa: PLC0415 - importing the package shows no commands

    # What an old locale can't show is escaped: a log entry is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="daena-kms")
