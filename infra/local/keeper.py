"""The program that :mod:`infra.local.process` starts: it becomes the server, and sees to its end.

A second process waits for the end of the pipe to the process that started both. That end comes
when that process ends in any way, a kill included. It then removes the server's folder and ends
the whole process group. This file imports nothing of the project, and needs no site-packages.
"""

import os
import shutil
import signal
import sys


def end_with_the_starter(folder: str) -> None:
    """Wait for the end of the pipe, then leave nothing behind."""
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def main(folder: str, *command: str) -> None:
    """Run the command in place of this process, with an end that is watched for."""
    if os.fork() == 0:
        end_with_the_starter(folder)
    # The server has no share in the pipe, and nothing to read.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
