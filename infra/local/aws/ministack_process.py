"""The program that :mod:`infra.local.aws.ministack` starts: ministack in a process of its own.

It imports nothing of this package, so it runs wherever ministack does.
"""

import os
import runpy
import shutil
import signal
import sys
import threading
from pathlib import Path


def _end_with_the_parent(folder: Path) -> None:
    """Wait for the end of the pipe to the parent, then leave nothing behind."""
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def main(interpreter: str) -> None:
    """Run ministack, with that interpreter for the functions in it."""
    folder = Path(interpreter).parent
    threading.Thread(target=_end_with_the_parent, args=(folder,), daemon=True).start()
    # ministack starts functions with sys.executable, whatever runtime they ask for.
    sys.executable = interpreter
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
