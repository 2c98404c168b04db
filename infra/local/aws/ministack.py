"""Runs a local AWS (ministack) as a child process and ends it again without a trace."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daena_kms.errors import ConfigError, StoreUnavailable

from infra.local.aws.ministack_settings import (
    ACCOUNT,
    HOST,
    REGION,
    SECRET,
    interpreter,
    settings,
    surroundings,
)

__all__ = ["ACCOUNT", "HOST", "REGION", "LocalAws"]

_PROGRAM = Path(__file__).with_name("ministack_process.py")
_START_SECONDS = 30.0
_ANSWER_SECONDS = 900
_ATTEMPTS = 5


class LocalAws:
    """A local AWS on a free loopback port, for use as a context manager.

    Args:
        isolated: functions see the standard library and their own bundle, as on Lambda. When
            false they also see what is installed in this environment.
        enforce_iam: check every call against IAM policies, those of functions included.
    """

    def __init__(self, *, isolated: bool = True, enforce_iam: bool = False) -> None:
        self._isolated = isolated
        self._enforce_iam = enforce_iam
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._url: str | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The endpoint of every service."""
        return _running(self._url)

    @property
    def pid(self) -> int:
        """The process id of ministack, which is also the id of its process group."""
        return _running(self._process).pid

    @property
    def folder(self) -> Path:
        """The only folder that ministack and the functions in it write to."""
        return _running(self._folder)

    def client(self, service: str) -> Any:
        """Return an SDK client that no setting or profile of the person's reaches."""
        from botocore.config import Config
        from botocore.session import Session

        session = Session(
            {
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
            }
        )
        return session.create_client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=SECRET,
            # A function may take its time, and must not run a second time for that.
            config=Config(read_timeout=_ANSWER_SECONDS, retries={"total_max_attempts": 1}),
        )

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead any AWS SDK or command line to this local AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def start(self) -> None:
        """Start ministack and return when it answers.

        Raises:
            ConfigError: it isn't installed.
            StoreUnavailable: it ended, or stayed silent, instead of answering.
        """
        if self._process is not None:
            message = "the local AWS is already running: stop it first"
            raise RuntimeError(message)
        if importlib.util.find_spec("ministack") is None:
            raise ConfigError(
                "the local AWS needs the package ministack, which is not installed",
                todo="In a clone of the project, make demo brings it along; so does "
                "pip install --group dev",
            )
        try:
            for _ in range(_ATTEMPTS):
                if self._launch():
                    return
                self.stop()
        except BaseException:
            self.stop()
            raise
        raise StoreUnavailable(
            f"other processes took every port chosen for the local AWS, {_ATTEMPTS} times",
            todo="Try again",
        )

    def stop(self) -> None:
        """End ministack and every process it started, and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            # It has nothing to save, and the whole group goes: a function may still be running.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._url = None

    def log(self) -> str:
        """What ministack has printed so far."""
        return (self.folder / "output.log").read_text(encoding="utf-8", errors="replace")

    def reset(self) -> None:
        """Forget all state and end all functions, as if just started."""
        request = urllib.request.Request(f"{self.url}/_ministack/reset", method="POST")
        with urllib.request.urlopen(request, timeout=_START_SECONDS) as answer:
            answer.read()

    def _launch(self) -> bool:
        """Start ministack on some free port; false if another process was faster to use it."""
        self._folder = folder = Path(tempfile.mkdtemp(prefix="daena-local-aws-"))
        port = free_port()
        token = uuid.uuid4().hex
        configuration = settings(folder, port, token, enforce_iam=self._enforce_iam)
        python = interpreter(folder, configuration, isolated=self._isolated)
        with (folder / "output.log").open("wb") as output:
            self._process = process = subprocess.Popen(
                [sys.executable, "-P", str(_PROGRAM), str(python)],
                cwd=folder,
                env=surroundings(folder) | configuration,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        url = f"http://{HOST}:{port}"
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None:
            # Only our own child knows the token; anything else on the port is a stranger.
            if _edition(url) == token:
                self._url = url
                return True
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"the local AWS did not answer in {_START_SECONDS:.0f} s: {self.log()[-2000:]}"
                )
            time.sleep(0.02)
        if "already in use" in self.log():
            return False
        raise StoreUnavailable(
            f"the local AWS ended with status {process.returncode}: {self.log()[-2000:]}"
        )


def _running[T](value: T | None) -> T:
    if value is None:
        message = "the local AWS is not running: start it first"
        raise RuntimeError(message)
    return value


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _edition(url: str) -> str | None:
    """What the server there calls its edition, or None while there is no answer."""
    try:
        with urllib.request.urlopen(f"{url}/_ministack/health", timeout=2) as answer:
            health: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return None
    return str(health.get("edition"))
