"""The workflows that deploy trust the clouds' own federation, and hold no key."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped] # it has no types

from tests.infra.deployed import CLOUDS, ROOT, folders

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REACHING_A_CLOUD = [path for path in WORKFLOWS if path.name != "ci.yml"]
DEPLOY = ROOT / ".github" / "workflows" / "deploy.yml"
GATE = ROOT / ".github" / "workflows" / "rotation-gate.yml"
GCS = 'terraform {\n  backend "gcs" {\n    bucket = "states"\n  }\n}'
#: Notes what it is asked and, as the real one, makes a lock file and a plan and applies a plan.
TERRAFORM = """#!/bin/sh
echo "$@" >>"$CALLS"
cd "${1#-chdir=}" 2>/dev/null
case "$*" in
  version) echo "Terraform v1.11.4"; echo "on linux_amd64" ;;
  *"init -lockfile=readonly") grep -q locked .terraform.lock.hcl && test -s backend.tf ;;
  *init) echo locked >.terraform.lock.hcl ;;
  *-out=plan) cat backend.tf ci.auto.tfvars.json >plan ;;
  *"apply plan") cat plan >"$APPLIED" ;;
  *) exit 64 ;;
esac
"""


def _name(path: Path) -> str:
    return path.name


def _scripts(text: str) -> list[str]:
    """Return what the steps run, on one line or on several."""
    return re.findall(r"^ +(?:- )?run: (.*(?:\n(?: {10,}.*)?)*)", text, re.MULTILINE)


@pytest.mark.parametrize("path", WORKFLOWS, ids=_name)
def test_no_workflow_uses_a_stored_secret(path: Path) -> None:
    """Nothing is read from the repository's secrets, and the token may only read unless it says."""
    text = path.read_text()
    assert "secrets." not in text
    assert "secrets: inherit" not in text
    assert "\npermissions:\n  contents: read\n" in text
    assert "persist-credentials: false" in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=_name)
def test_no_input_becomes_part_of_a_script(path: Path) -> None:
    """What somebody types into a form reaches a script through the environment alone."""
    scripts = _scripts(path.read_text())
    assert scripts
    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=_name)
def test_what_is_installed_is_locked(path: Path) -> None:
    """No script resolves versions by itself: the lock files say what runs, by hash."""
    assert "pip install" not in "\n".join(_scripts(path.read_text()))


@pytest.mark.parametrize("path", REACHING_A_CLOUD, ids=_name)
def test_each_job_that_logs_in_has_an_environment(path: Path) -> None:
    """A job with an identity in a cloud is bound to an environment, which can be guarded."""
    jobs = re.split(r"^  (?=\w+:$)", path.read_text().partition("\njobs:\n")[2], flags=re.MULTILINE)
    logging_in = [job for job in jobs if "id-token: write" in job]
    assert logging_in
    assert [job for job in logging_in if "\n    environment: " not in job] == []
    assert [job for job in jobs if "role-to-assume" in job and job not in logging_in] == []


def test_every_example_can_be_deployed() -> None:
    """The form offers the examples that there are."""
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    offered = re.search(r"options:\s+\[(.*?)\]", text, re.DOTALL)
    assert offered is not None
    examples = {name.removeprefix("examples/") for c in CLOUDS for name in folders(c)[1:]}
    assert {name.strip() for name in offered[1].split(",")} == examples


def _steps(path: Path, job: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = yaml_parse(path.read_text())["jobs"][job]["steps"]
    return steps


def _script(job: str, name: str) -> str:
    (found,) = [step["run"] for step in _steps(DEPLOY, job) if step.get("name") == name]
    return str(found)


class Runner:
    """A machine that runs steps of ``deploy.yml``, with a stand-in for Terraform."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.example = folder / "infra" / "terraform" / "examples" / "gcp-minimal"
        self.example.mkdir(parents=True)
        self.calls, self.applied = folder / "calls", folder / "applied"
        programs = folder / "programs"
        programs.mkdir()
        (programs / "terraform").write_text(TERRAFORM)
        (programs / "terraform").chmod(0o755)
        self._environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "APPLIED": str(self.applied),
            "EXAMPLE": "gcp-minimal",
            "FOLDER": "infra/terraform/examples/gcp-minimal",
            "GITHUB_OUTPUT": str(folder / "output"),
        }

    def run(self, job: str, name: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run a step as GitHub does."""
        return subprocess.run(
            ["/bin/bash", "-e", "-c", _script(job, name)],
            cwd=self.folder,
            env=self._environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def outputs(self) -> dict[str, str]:
        """Return what the steps have put out."""
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def planned(self) -> bytes:
        """Run the plan's steps, and return what they upload."""
        package = self.folder / "dist" / "gcp" / "daena-kms.zip"
        package.parent.mkdir(parents=True)
        package.write_bytes(b"a package")
        state = {"BACKEND": GCS, "APPLY": "true", "PRIVATE": "true"}
        for name, given in (
            ("Say where the state is", state),
            ("Plan", {"TFVARS": '{"project_id": "p"}'}),
            ("Pack the plan", {}),
        ):
            done = self.run("plan", name, **given)
            assert done.returncode == 0, done.stderr
        return (self.folder / "plan.tgz").read_bytes()


@pytest.mark.parametrize("path", WORKFLOWS, ids=_name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """A tag can be moved to other code; beside the commit stands the version that it is."""
    used = re.findall(r"uses: (.*)", re.sub(r"^#.*$", "", path.read_text(), flags=re.MULTILINE))
    assert used
    assert [u for u in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", u)] == []


def test_an_action_is_the_same_everywhere() -> None:
    """No workflow stays behind with another version."""
    texts = "".join(path.read_text() for path in WORKFLOWS)
    pinned = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v\S+)", texts))
    assert len({action for action, _ in pinned}) == len(pinned) >= 8


@pytest.mark.parametrize(
    "backend", ["", "  ", "terraform {}", 'terraform {\n  backend "local" {}\n}', "# backend"]
)
def test_a_state_that_would_be_lost_is_an_error(tmp_path: Path, backend: str) -> None:
    """Without a backend the state would end with the job, and the next apply make all anew."""
    runner = Runner(tmp_path)
    given = {"BACKEND": backend, "APPLY": "false", "PRIVATE": "true"}
    done = runner.run("plan", "Say where the state is", **given)
    assert (done.returncode, done.stdout.startswith("::error::TF_BACKEND")) == (1, True)
    assert not (runner.example / "backend.tf").exists()


@pytest.mark.parametrize(
    "backend", [GCS, 'terraform { backend "s3" {} }', "terraform {\n cloud {}\n}"]
)
def test_a_state_that_lasts_is_taken(tmp_path: Path, backend: str) -> None:
    """The variable is written beside the example as it is."""
    runner = Runner(tmp_path)
    given = {"BACKEND": backend, "APPLY": "false", "PRIVATE": "false"}
    done = runner.run("plan", "Say where the state is", **given)
    assert done.returncode == 0, done.stdout
    assert (runner.example / "backend.tf").read_text() == f"{backend}\n"


def test_no_plan_is_kept_where_everybody_can_read_it(tmp_path: Path) -> None:
    """A saved plan holds the state, and anybody may fetch what a public repository keeps."""
    given = {"BACKEND": GCS, "APPLY": "true", "PRIVATE": "false"}
    done = Runner(tmp_path).run("plan", "Say where the state is", **given)
    assert (done.returncode, "a saved plan holds the state" in done.stdout) == (1, True)


def test_the_plan_that_was_approved_is_applied(tmp_path: Path) -> None:
    """On another machine, with the same plan, lock file, package and version of Terraform."""
    first, second = Runner(tmp_path / "plan"), Runner(tmp_path / "apply")
    kept = first.planned()
    out = first.outputs()
    assert out["terraform"] == "1.11.4"
    (second.folder / "plan.tgz").write_bytes(kept)
    done = second.run("apply", "Apply", SHA256=out["sha256"])
    assert done.returncode == 0, done.stderr
    assert second.applied.read_text() == f'{GCS}\n{{"project_id": "p"}}\n'
    assert (second.folder / "dist" / "gcp" / "daena-kms.zip").read_bytes() == b"a package"
    chdir = "-chdir=infra/terraform/examples/gcp-minimal"
    assert second.calls.read_text().splitlines() == [
        f"{chdir} init -lockfile=readonly",
        f"{chdir} apply plan",
    ]


def test_another_plan_is_not_applied(tmp_path: Path) -> None:
    """What was uploaded is held against what the plan's job has put out."""
    first, second = Runner(tmp_path / "plan"), Runner(tmp_path / "apply")
    (second.folder / "plan.tgz").write_bytes(first.planned() + b"\0")
    done = second.run("apply", "Apply", SHA256=first.outputs()["sha256"])
    assert done.returncode != 0
    assert not second.calls.exists()


def test_an_apply_plans_nothing_of_its_own() -> None:
    """Its job has neither a plan's variables nor its packages, and the same Terraform."""
    steps = _steps(DEPLOY, "apply")
    assert [s for s in steps if "make package" in s.get("run", "")] == []
    assert [s for s in steps if {"BACKEND", "TFVARS"} & set(s.get("env", {}))] == []
    (terraform,) = [s for s in steps if "setup-terraform" in s.get("uses", "")]
    assert terraform["with"]["terraform_version"] == "${{ needs.plan.outputs.terraform }}"


def test_the_gate_installs_itself_wherever_it_is_called() -> None:
    """A called workflow's checkout takes the caller's repository unless it is told otherwise."""
    (checkout,) = [s for s in _steps(GATE, "overdue") if "checkout" in s.get("uses", "")]
    assert checkout["with"]["repository"] == "${{ job.workflow_repository }}"
    assert checkout["with"]["ref"] == "${{ job.workflow_sha }}"
    scripts = [step["run"] for step in _steps(GATE, "overdue") if "run" in step]
    assert scripts == [".ci/bootstrap", ".venv/bin/daena-kms plan --fail-if-overdue"]
