"""The script that makes Google's own accounts in a project, with a stand-in for gcloud."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.infra.deployed import TREE

SCRIPT = TREE / "gcp" / "scripts" / "service-identities"
CREATE = "beta services identity create --quiet --project example.com:p --service"
AGENT = "serviceAccount:service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com"
BIND = "projects add-iam-policy-binding example.com:p --quiet --condition None --format none"
GIVEN = f"{BIND} --member {AGENT} --role roles/eventarc.serviceAgent"


def _ran(folder: Path, gcloud: str | None, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the script with this gcloud, or with none, as the module does."""
    if gcloud is not None:
        program = folder / "gcloud"
        program.write_text(f"#!/bin/sh\n{gcloud}\n")
        program.chmod(0o755)
    given = {"PROJECT_ID": "example.com:p", "PROJECT_NUMBER": "123456789012", "EVENTS": "true"}
    return subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        env={"PATH": str(folder), "CALLS": str(folder / "calls"), **given, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("events", ["true", "false"])
def test_accounts_are_made_and_eventarc_s_gets_its_role(tmp_path: Path, events: str) -> None:
    """Secret Manager's always, Eventarc's and its role only where there are events."""
    done = _ran(tmp_path, 'echo "$@" >>"$CALLS"', EVENTS=events)
    assert (done.returncode, done.stderr) == (0, "")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == f"{CREATE} secretmanager.googleapis.com"
    more = [f"{CREATE} eventarc.googleapis.com", GIVEN]
    assert calls[1:] == (more if events == "true" else [])


def test_a_failure_of_gcloud_is_one_of_the_script(tmp_path: Path) -> None:
    """What gcloud refuses stops the apply, and nothing more is asked of it."""
    done = _ran(tmp_path, 'echo "$@" >>"$CALLS"; exit 3')
    assert done.returncode == 3
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


def test_without_gcloud_it_says_what_to_do(tmp_path: Path) -> None:
    """The message names the variable, and the document that explains it."""
    done = _ran(tmp_path, None)
    assert done.returncode == 1
    assert "set create_service_identities = false: docs/DEPLOY.md" in done.stderr


def test_it_asks_for_what_it_needs(tmp_path: Path) -> None:
    """Run by hand without a variable, it does nothing."""
    done = _ran(tmp_path, 'echo "$@" >>"$CALLS"', PROJECT_NUMBER="")
    assert done.returncode != 0
    assert "PROJECT_NUMBER" in done.stderr
    assert not (tmp_path / "calls").exists()


def test_it_can_be_run() -> None:
    """It is a program, for whoever runs it by hand."""
    assert os.access(SCRIPT, os.X_OK)
