"""The program that :mod:`infra.local.aws.ministack` starts: ministack in a process of its own.

It imports nothing of this package, so it runs wherever ministack does.
"""

import runpy
import sys


def main(interpreter: str) -> None:
    """Run ministack, with that interpreter for the functions in it."""
    # ministack starts functions with sys.executable, whatever runtime they ask for.
    sys.executable = interpreter
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
