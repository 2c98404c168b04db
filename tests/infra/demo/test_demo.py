"""The demo as a person runs it: it ends well, shows what it says, and leaves nothing."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from daena_kms.cli import demo
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import ConfigError

from infra.demo import PARTS, aws, azure, gcp
from tests.worlds.waiting import eventually

ROOT = Path(__file__).parents[3]
PROGRAM = Path(sys.executable).with_name("daena-kms")
SOURCES = [Path(str(part.__file__)) for part in (demo, aws, azure, gcp)]


def start(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in a process of its own, whose temporary files go to a folder.

    One part of it is asked of the installed package, as its users do, the others as make does.
    """
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    packaged = arguments[0] in {"local", "mars"}
    command = [str(PROGRAM), "demo"] if packaged else [sys.executable, "-m", "infra.demo"]
    command += [argument for argument in arguments if argument != "all"]
    # Nothing else runs the part on AWS, so its coverage is counted in that process.
    coverage = {n: v for n, v in os.environ.items() if n.startswith("COVERAGE_")}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "TMPDIR": str(temporary),
            # A person's own settings must lead the demo nowhere.
            "DAENA_CLOUD_KMS_PROVIDER": "gcp",
            "AWS_PROFILE": "there-is-none",
            "AWS_ENDPOINT_URL": "http://192.0.2.1",
            **coverage,
            **settings,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def running(tmp_path: Path) -> list[str]:
    """The processes that descend from the demo of that folder: their environment names it."""
    found = []
    folder = str(tmp_path).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile
        if folder in environment + command:
            found.append(command.decode(errors="replace"))
    return found


LOCAL_LINES = (
    "1. Five keys of different ages and policies. What would a run do, and why?",
    "  yes  the key has a new value",
    "  yes  it finds nothing to do",
    "  yes  the process was killed",
    "  yes  the next run finished it with a fresh value, without help",
    "  yes  the log confirms every version in the store, and its chain is complete",
    "  yes  verify names the object",
)
AWS_LINES = (
    "rotated orders-encryption-key, session-signing-key; 3 keys looked at",
    "  yes  the event delivered twice does nothing more",
    "  yes  the old one can still be read as AWSPREVIOUS",
    "  yes  the audit log in the bucket verifies",
)
AZURE_LINES = (
    "scheduled: timerTrigger",
    "  yes  the timer that fires twice does nothing more",
    "  yes  the fresh key is rotated as well",
    "  yes  the old one can still be read by its version id",
    "  yes  the audit log in the container verifies",
)
GCP_LINES = (
    "  yes  the job that is delivered twice does nothing more",
    "  yes  versions/previous is the old one",
)


@pytest.mark.parametrize(
    ("part", "lines", "confirmed"),
    [
        ("local", LOCAL_LINES, 8),
        ("gcp", GCP_LINES, 5),
        ("all", LOCAL_LINES + AWS_LINES + AZURE_LINES + GCP_LINES, 24),
    ],
)
def test_it_shows_what_it_says_and_leaves_nothing(
    tmp_path: Path, part: str, lines: tuple[str, ...], confirmed: int
) -> None:
    """Exit status 0, every step, no file and no process left."""
    done = start(tmp_path, part)

    assert (done.returncode, done.stderr) == (0, "")
    shown = [line.rstrip() for line in done.stdout.splitlines()]
    assert [line for line in lines if line not in shown] == []
    assert sum(line.startswith("  yes  ") for line in shown) == confirmed
    assert list((tmp_path / "temporary").iterdir()) == []
    assert eventually(lambda: running(tmp_path) == [])


def test_a_persons_own_settings_do_not_reach_the_demo(tmp_path: Path) -> None:
    """It shows the same on a machine where the real thing is set up."""
    own = {
        "DAENA_KMS_ROTATE_AFTER": "1h",
        "DAENA_KMS_GRACE": "never",
        "DAENA_KMS_MASTER_KEY": "not a key",
    }
    done = start(tmp_path, "local", **own)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in LOCAL_LINES if line not in done.stdout] == []


def test_the_readme_shows_lines_that_the_demo_prints() -> None:
    """What a newcomer reads first is the demo's real output."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"\$ make demo\n(.*?)```", text, flags=re.DOTALL)
    assert block is not None
    promised = re.findall(r"^(?:\d\. .*|  yes  .*)$", block[1], flags=re.MULTILINE)
    claims = "".join(path.read_text() for path in SOURCES)

    assert len(promised) >= 9
    assert [line for line in promised if line.removeprefix("  yes  ") not in claims] == []


def test_kept_files_are_named_and_no_value_was_printed(tmp_path: Path) -> None:
    """The folder holds the store and the logs; none of the store's values is in the output."""
    done = start(tmp_path, "local", "--keep")

    folder = Path(done.stdout.splitlines()[-1].removeprefix("The files are in "))
    assert folder.parent == tmp_path / "temporary"
    assert sorted(p.name for p in (folder / "local").iterdir()) == ["audit", "store", "tampered"]
    adapter = LocalAdapter(folder / "local" / "store")
    values = [
        adapter.get_key(key.id, version.id)
        for key in adapter.store.scan()
        for version in key.versions
        if version.state in {"current", "previous"}
    ]
    assert len(values) == 8
    logs = b"".join(path.read_bytes() for path in (folder / "local").rglob("*.json"))
    told = (done.stdout + done.stderr).encode() + logs
    shown = [v for v in values if v.encode() in told or base64.b64encode(v.encode()) in told]
    assert len(shown) == 0


def test_an_unknown_part_is_bad_usage(tmp_path: Path) -> None:
    """Exit status 2, what there is instead, and nothing made."""
    done = start(tmp_path, "mars")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: 'mars' is not a part of the demo. Use local\n"
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("part", "target"), [("aws", "demo-aws"), ("azure", "demo-azure"), ("all", "demo")]
)
def test_a_clouds_part_points_to_a_clone(part: str, target: str) -> None:
    """The installed package has no clouds to run, and says where they are."""
    with pytest.raises(ConfigError, match=rf"Clone the project and run make {target}$"):
        demo.check_part(part)


def test_each_part_is_a_target_of_make() -> None:
    """What the message names is there."""
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"demo-{part}: " in makefile for part in PARTS if part != "local")
