"""``make local``: the command line works by what is printed, and nothing is left of it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local import __main__ as program
from infra.local.process import ROOT
from tests.local.test_child_process import of_folder
from tests.worlds.waiting import eventually

CLOUDS = ("aws", "azure", "gcp")
#: A person's own settings, which the printed lines must take out of sight.
PERSONAL = {
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "of-production",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://192.0.2.1",
    "AZURE_CLIENT_SECRET": "of-production",
    "DAENA_CLOUD_KMS_PROVIDER": "local",
    "DAENA_KMS_ENDPOINT": "https://192.0.2.1/hook",
    "DAENA_KMS_PAUSED": "true",
    "GOOGLE_APPLICATION_CREDENTIALS": "/production.json",
    "HTTP_PROXY": "http://192.0.2.1",
    "HTTPS_PROXY": "http://192.0.2.1",
}
COMMANDS = """
daena-kms create app-key --json
daena-kms plan --json
daena-kms rotate app-key --reason 'a try' --json
daena-kms show app-key --json
daena-kms audit verify --json
daena-kms doctor --json
"""


@dataclass
class Running:
    """The clouds, as somebody started them in a terminal."""

    printed: str

    def group(self, cloud: str) -> str:
        """Return what is printed for one cloud, with the lines for all before it."""
        first, *groups, _ = self.printed.split("\n\n")
        (found,) = [g for g in groups if f"DAENA_CLOUD_KMS_PROVIDER={cloud}\n" in g]
        return f"{first}\n{found}\n"


def start(folder: Path, *clouds: str) -> subprocess.Popen[str]:
    """Run it as make does, with an empty home and a folder for what is temporary."""
    temporary = folder / "temporary"
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "infra.local", *clouds],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )


def read(process: subprocess.Popen[str]) -> str:
    """Return what it prints up to the line that says how to end it."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    return "".join(lines)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start all the clouds, once; end them with Ctrl-C and look that nothing is left."""
    folder = tmp_path_factory.mktemp("local")
    with start(folder) as process:
        try:
            printed = read(process)
            folders = list((folder / "temporary").iterdir())
            assert len(folders) == len(CLOUDS)
            yield Running(printed)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert list((folder / "temporary").iterdir()) == []
    assert eventually(lambda: [line for each in folders for line in of_folder(each)] == [])


def run(script: str, home: Path) -> list[Any]:
    """Run a script in a shell of a person who works with real clouds; return what it printed."""
    done = subprocess.run(
        ["/bin/sh", "-euc", script],
        cwd=home,
        env={"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", **PERSONAL},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr[-2000:]
    decoder, found, text = json.JSONDecoder(), [], done.stdout.lstrip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_command_line_works_by_the_printed_lines(
    cloud: str, running: Running, tmp_path: Path
) -> None:
    """Create, plan, rotate, show, verify and doctor, whatever the shell's own settings are."""
    found = run(running.group(cloud) + COMMANDS, tmp_path)
    created, plan, rotated, shown, verified, doctor = found

    assert [action["kind"] for action in plan["actions"]] == ["nothing"]
    assert rotated["rotated"] == ["app-key"]
    states = {version["id"]: version["state"] for version in shown["versions"]}
    new = rotated["new_versions"]["app-key"]
    assert states == {created["version"]: "previous", new: "current"}
    assert (verified["ok"], verified["problems"], verified["notes"]) == (True, [], [])
    assert {version["status"] for version in verified["versions"]} == {"confirmed"}
    assert doctor["ok"] is True
    assert list(tmp_path.iterdir()) == []


def test_what_is_printed_is_one_script(running: Running) -> None:
    """Each cloud's lines follow a comment; none of them is anything but a setting."""
    lines = running.printed.splitlines()
    assert {line.partition(" ")[0] for line in lines if line} == {"#", "unset", "export"}
    for cloud in CLOUDS:
        first, *settings = running.group(cloud).strip().splitlines()[2:]
        assert first.startswith("# ")
        assert settings[0].startswith("unset ")
        assert f"export DAENA_CLOUD_KMS_PROVIDER={cloud}" in settings


def test_sigterm_ends_it_as_well(tmp_path: Path) -> None:
    """With exit status 0 and nothing left, also where one cloud alone was asked for."""
    with start(tmp_path, "gcp") as process:
        printed = read(process)
        (folder,) = (tmp_path / "temporary").iterdir()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert re.findall("PROVIDER=(.*)", printed) == ["gcp"]
    assert eventually(lambda: of_folder(folder) == [])
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_second_signal_does_not_disturb_the_end() -> None:
    """The first one begins to end it; from then on signals are ignored."""
    before = {number: signal.getsignal(number) for number in program._SIGNALS}
    try:
        with pytest.raises(KeyboardInterrupt):
            program._end(signal.SIGINT, None)
        assert {signal.getsignal(number) for number in before} == {signal.SIG_IGN}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_it_ends_in_the_middle_of_a_start(tmp_path: Path) -> None:
    """Ctrl-C while the clouds start: the same."""
    with start(tmp_path) as process:
        assert eventually(lambda: any((tmp_path / "temporary").iterdir()))
        (folder,) = (tmp_path / "temporary").iterdir()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert "Ctrl-C" not in process.stdout.read()
    assert eventually(lambda: of_folder(folder) == [])
    assert list((tmp_path / "temporary").iterdir()) == []


def test_an_unknown_cloud_is_bad_usage(tmp_path: Path) -> None:
    """Exit status 2, before anything is started."""
    with start(tmp_path, "mars") as process:
        assert read(process) == ""
        assert process.wait(60) == 2
    assert list((tmp_path / "temporary").iterdir()) == []
