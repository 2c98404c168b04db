"""What holds for every server that runs as a child: how it starts, and that nothing is left of it.

The limits that are private to the module are replaced where a test must see a start fail: no
caller has a use for setting them.
"""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.errors import StoreUnavailable

from infra.local.process import HOST, ROOT, ChildProcess, free_port
from tests.worlds.waiting import eventually, gone

#: Listens on a port, says so, and starts a process of its own that would run for ever.
SERVER = """
import os, signal, socket, subprocess, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1e6)"])
print(f"listens on {server.getsockname()[1]}, started {child.pid},", dict(os.environ), flush=True)
signal.pause()
"""
#: By the name of its module, how each kind is made.
KINDS = {
    "infra.local.aws.ministack": "LocalAws()",
    "infra.local.azure.azurite": "Azurite()",
    "infra.local.gcp.fake_gcs_server": "FakeGcs('bucket')",
    "infra.local.gcp.framework": "FunctionsFramework('http', {'GCP_PROJECT_ID': 'one'})",
    "infra.local.simulator": "SimulatorProcess('azure')",
}


class Small(ChildProcess):
    """A program of the test's; its address is what it prints first."""

    name = "the small server"

    def __init__(self, program: str = SERVER, *arguments: str) -> None:
        super().__init__()
        self._arguments = [program, *(arguments or ("0",))]

    def _command(self, folder: Path) -> list[str]:
        del folder
        return [sys.executable, "-c", *self._arguments]

    def _address(self) -> str | None:
        found = re.search(r"listens on (\d+)", self.log())
        return f"http://{HOST}:{found[1]}" if found else None


class Polite(Small):
    """The same, asked to end."""

    ends_by_itself = True


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    made = tmp_path / "folders"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which a stranger listens."""
    with socket.create_server((HOST, 0)) as stranger:
        yield stranger.getsockname()[1]


def of_folder(folder: Path) -> list[str]:
    """Return the command lines of the processes that have this folder for their home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            home = f"HOME={folder}".encode() in (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # ended meanwhile
        if home:
            found.append(command)
    return found


def test_stopping_leaves_no_process_and_no_file(folders: Path) -> None:
    """Also not one that the server started; a second stop does nothing."""
    server = Small()
    with server:
        (started,) = re.findall(r"started (\d+)", server.log())
        pid, folder = server.pid, server.folder
        assert folder.parent == folders
        assert len(of_folder(folder)) == 3
    assert gone(pid)
    # Orphans are collected by the system's first process, not by us.
    assert eventually(lambda: of_folder(folder) == [])
    assert eventually(lambda: gone(int(started)))
    assert list(folders.iterdir()) == []
    server.stop()


def test_it_is_running_or_not() -> None:
    """Starting it twice, or asking a stopped one for its address, is an error."""
    server = Small()
    with pytest.raises(RuntimeError, match="the small server is not running"):
        _ = server.url
    with server:
        with pytest.raises(RuntimeError, match="already running"):
            server.start()
        first = server.url
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.pid
    with server:
        assert server.url != first


@pytest.mark.parametrize("module", KINDS)
def test_it_ends_with_the_process_that_started_it(module: str, tmp_path: Path) -> None:
    """A starter that is killed leaves neither a process nor a file, whichever kind it is."""
    program = (
        "import os, signal\n"
        f"from {module} import {KINDS[module].partition('(')[0]}\n"
        f"server = {KINDS[module]}.start()\n"
        "print(server.pid, server.folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pid, folder = killed.stdout.split()
    assert Path(folder).parent == tmp_path
    assert eventually(lambda: gone(int(pid)))
    assert eventually(lambda: of_folder(Path(folder)) == [])
    assert eventually(lambda: list(tmp_path.iterdir()) == [])


def test_nothing_of_the_persons_environment_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither credentials nor settings of Python; its home and temporary folder are its own."""
    canary = secrets.token_urlsafe()
    for name in ("AWS_SESSION_TOKEN", "DAENA_KMS_HOME", "HOME", "TMPDIR", "PYTHONPATH", "ANY"):
        monkeypatch.setenv(name, canary)
    with Small() as server:
        log, folder = server.log(), server.folder
    assert canary not in log
    assert log.count(str(folder)) == 2


@pytest.mark.parametrize(
    ("program", "seconds", "message"),
    [
        ("print('out of order'); raise SystemExit(3)", 30.0, r"status 3: out of order"),
        ("import signal; signal.pause()", 0.0, "the small server did not answer in 0 s"),
    ],
)
def test_a_failed_start_is_reported_and_leaves_nothing(
    program: str, seconds: float, message: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that ends or stays silent is an error with its output, and is cleaned up."""
    monkeypatch.setattr("infra.local.process._START_SECONDS", seconds)
    with pytest.raises(StoreUnavailable, match=message):
        Small(program).start()
    assert list(folders.iterdir()) == []


def test_a_port_that_was_taken_meanwhile_is_passed_over(taken: int) -> None:
    """The next attempt chooses another one."""
    ports = iter([taken, free_port()])

    class Choosing(Small):
        def _command(self, folder: Path) -> list[str]:
            self._arguments[1] = str(next(ports))
            return super()._command(folder)

    with Choosing() as server:
        assert server.url != f"http://{HOST}:{taken}"


def test_no_free_port_is_reported(taken: int, folders: Path) -> None:
    """When every attempt meets a stranger the error says so and nothing is left."""
    with pytest.raises(StoreUnavailable, match="the small server, 5 times"):
        Small(SERVER, str(taken)).start()
    assert list(folders.iterdir()) == []


def test_one_that_is_asked_to_end_says_what_went_wrong(folders: Path) -> None:
    """A server that fails while it ends is an error with its output."""
    fails = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit('on purpose'))\n"
    server = Polite(fails + SERVER).start()
    with pytest.raises(RuntimeError, match=r"(?s)status 1: .*on purpose"):
        server.stop()
    assert list(folders.iterdir()) == []


def test_one_that_does_not_end_is_killed(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given time, and no more than that."""
    monkeypatch.setattr("infra.local.process._END_SECONDS", 0.0)
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    with Polite(deaf + SERVER) as server:
        pid = server.pid
    assert gone(pid)
    assert list(folders.iterdir()) == []
