"""The command line in this process, in one of its own, and at a terminal."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit import open_log
from daena_kms.cli.app import app
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.objects.base import Objects
from daena_kms.operations import Operations
from typer.testing import CliRunner, Result

PROGRAM = Path(sys.executable).with_name("daena-kms")
#: Ctrl-C works also where these tests run in the background of a script, which ignores it.
INTERRUPTIBLE = (
    sys.executable,
    "-c",
    (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    ),
    str(PROGRAM),
)
_SECONDS = 30


@dataclass
class Shell:
    """A local store and its log in a folder, and the ways to run commands on them."""

    folder: Path
    environment: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = {
            "DAENA_KMS_HOME": str(self.folder / "store"),
            "DAENA_KMS_AUDIT_URL": (self.folder / "audit").as_uri(),
            "DAENA_OPERATOR": "operator",
        }

    @property
    def adapter(self) -> LocalAdapter:
        """The store that the commands work on."""
        return LocalAdapter(self.folder / "store")

    @property
    def log(self) -> Objects:
        """The log that the commands write."""
        return open_log((self.folder / "audit").as_uri())

    def create(self, *key_ids: str, days: int = 0, **tags: str) -> None:
        """Create keys that long ago, through the log; ``grace`` is ``daena.grace``, and so on."""
        then = datetime.now(UTC) - timedelta(days=days)
        given = {f"daena.{name.replace('_', '-')}": value for name, value in tags.items()}
        for key_id in key_ids:
            Operations(self.adapter, self.log, now=then, principal="operator").create(
                key_id, tags=given
            )

    def unmanaged(self, key_id: str, value: str) -> None:
        """Put a key into the store that nobody has enrolled."""
        self.adapter.store.create(key_id, value, {}, datetime.now(UTC))

    def run(self, *arguments: str, given: str | bytes | None = None) -> Result:
        """Run a command in this process, with no terminal."""
        return CliRunner(env=dict(self.environment)).invoke(app, list(arguments), input=given)

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Run a command with --json, and return the one document that it prints."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == status, result.output
        assert result.stderr == ""
        return json.loads(result.stdout)

    def process(
        self, *arguments: str, given: bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a process of its own, with no terminal."""
        return subprocess.run(
            [PROGRAM, *arguments],
            input=given,
            env=self.surroundings(**environment),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )

    def surroundings(self, **further: str) -> dict[str, str]:
        """The environment of a process: nothing of this one's but what it needs to start."""
        own = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        own |= {"LANG": "C.UTF-8", "HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true"}
        return own | dict(self.environment) | further

    @contextmanager
    def terminal(
        self, *arguments: str, columns: int = 100, environment: Mapping[str, str] | None = None
    ) -> Iterator["Terminal"]:
        """Run a command at a terminal of that width."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, columns))
        settings = {"TERM": "xterm-256color"} | dict(environment or {})
        with subprocess.Popen(
            [*INTERRUPTIBLE, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self.surroundings(**settings),
            start_new_session=True,
        ) as process:
            os.close(theirs)
            try:
                yield Terminal(ours, process)
            finally:
                process.kill()
                os.close(ours)


@dataclass
class Terminal:
    """A person's side of a terminal."""

    handle: int
    process: subprocess.Popen[bytes]
    shown: str = ""

    def until(self, text: str | None = None) -> str:
        """Read until ``text`` is shown, or until the command has ended."""
        deadline = time.monotonic() + _SECONDS
        while text is None or text not in self.shown:
            more = self._read(deadline - time.monotonic())
            assert more is not None, f"nothing more came after {self.shown!r}"
            if not more:
                break
        return self.shown

    def _read(self, seconds: float) -> bool | None:
        """Read what is shown; False at the end, None where nothing comes in that time."""
        ready, _, _ = select.select([self.handle], [], [], max(0, seconds))
        if not ready:
            return None
        try:
            data = os.read(self.handle, 65_536)
        except OSError:  # the other side is closed: Linux says so with EIO
            data = b""
        self.shown += data.decode(errors="replace")
        return bool(data)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self.handle, text.encode() + b"\n")

    def interrupt(self) -> None:
        """Press Ctrl-C until the command ends, as a person does.

        One that comes right before the command begins to wait for input is seen only after it.
        """
        for _ in range(_SECONDS):
            self.process.send_signal(signal.SIGINT)
            more: bool | None = True
            while more:
                more = self._read(1)
            if more is not None:  # the end
                return

    def end(self) -> int:
        """Wait for the command's end, and return its exit status."""
        self.until()
        return self.process.wait(_SECONDS)
