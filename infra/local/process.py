"""A server in a process of its own: starts it, waits for its address, ends it without a trace."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from daena_kms.errors import StoreUnavailable

from infra.local.base import LocalCloud

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]
_KEEPER = Path(__file__).with_name("keeper.py")
_LOG = "output.log"
_START_SECONDS = 30.0
_END_SECONDS = 30.0
_LOOK_SECONDS = 0.02
#: How often a start is tried while other processes take the port that was free a moment ago.
_ATTEMPTS = 5


class ChildProcess(LocalCloud):
    """A server that runs as a child of this process, in a process group and folder of its own.

    Nothing of it outlives :meth:`stop`, nor the process that started it. A subclass says which
    command to run and how to recognize that the child itself answers.
    """

    #: What messages call it.
    name: str
    #: Whether it is asked to end, and so can say that it failed. Otherwise it is killed at once.
    ends_by_itself: ClassVar[bool] = False

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The address at which it listens."""
        return self._running(self._url)

    @property
    def pid(self) -> int:
        """The process id of the server, which is also the id of its process group."""
        return self._running(self._process).pid

    @property
    def folder(self) -> Path:
        """The only folder that it writes to."""
        return self._running(self._folder)

    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder / _LOG).read_text(encoding="utf-8", errors="replace")

    def start(self) -> Self:
        """Start it and return when it answers.

        Raises:
            ConfigError: it isn't installed.
            StoreUnavailable: it ended, or stayed silent, instead of answering.
        """
        if self._process is not None:
            raise RuntimeError(f"{self.name} is already running: stop it first")
        try:
            for _ in range(_ATTEMPTS):
                if self._launch():
                    return self
                self._kill()
        except BaseException:
            self._kill()
            raise
        raise StoreUnavailable(
            f"other processes took every port chosen for {self.name}, {_ATTEMPTS} times",
            todo="Try again",
        )

    def stop(self) -> None:
        """End it and every process it started, and remove its folder.

        Raises:
            RuntimeError: it failed while it ran. The message holds what it printed.
        """
        status, printed = 0, ""
        if self._process is not None and self.ends_by_itself:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(_END_SECONDS)
            printed = self.log()[-2000:]
        self._kill()
        if status:
            raise RuntimeError(f"{self.name} ended with status {status}: {printed}")

    @abstractmethod
    def _command(self, folder: Path) -> list[str]:
        """Return the program, as an absolute path, and its arguments.

        It is asked for again for each attempt, so a port that it chooses is another one.

        Raises:
            ConfigError: the program isn't installed.
        """

    @abstractmethod
    def _address(self) -> str | None:
        """Return the address once the child itself, and no stranger on its port, answers there."""

    def _surroundings(self, folder: Path) -> dict[str, str]:
        """Return the whole environment of the child: nothing of the person's."""
        return {
            "PATH": os.defpath,
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
        }

    def _launch(self) -> bool:
        """Start the child once; false if another process was faster to use its port."""
        self._folder = folder = Path(tempfile.mkdtemp(prefix="daena-local-"))
        command = self._command(folder)
        with (folder / _LOG).open("wb") as output:
            self._process = process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(folder), *command],
                cwd=folder,
                env=self._surroundings(folder),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None:
            self._url = self._address()
            if self._url is not None:
                return True
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"{self.name} did not answer in {_START_SECONDS:.0f} s: {self.log()[-2000:]}"
                )
            time.sleep(_LOOK_SECONDS)
        if "already in use" in self.log():
            return False
        raise StoreUnavailable(
            f"{self.name} ended with status {process.returncode}: {self.log()[-2000:]}"
        )

    def _kill(self) -> None:
        """End the whole group, which has nothing to save, and remove the folder."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._url = None

    def _running[T](self, value: T | None) -> T:
        if value is None:
            raise RuntimeError(f"{self.name} is not running: start it first")
        return value


def free_port() -> int:
    """Return a port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def direct(trust: ssl.SSLContext | None = None) -> urllib.request.OpenerDirector:
    """Return what opens addresses of loopback, with no proxy of the person's in between."""
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)]
    return urllib.request.build_opener(*handlers)
