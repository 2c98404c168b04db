"""Terraform over a copy of the modules: nothing is written into the tree, nothing is deployed."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TREE = INFRA / "terraform"
CLOUDS = ("aws", "azure", "gcp")
#: What Terraform says when neither a mirror nor the registry gives it the providers.
_NO_PROVIDERS = ("Failed to query available provider packages", "Failed to install provider")


def folders(cloud: str) -> list[str]:
    """Return the folders of a cloud's module and of its examples, within the tree."""
    examples = sorted(path.name for path in TREE.glob(f"examples/{cloud}-*"))
    return [cloud, *(f"examples/{name}" for name in examples)]


def cannot(reason: str) -> None:
    """Skip where Terraform can't run; where everything must run, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@functools.cache
def program() -> str:
    """Return Terraform's path; skips without one."""
    found = shutil.which("terraform")
    if found is None:
        cannot("terraform is not installed")
    return str(found)


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of the modules and examples."""

    path: Path

    @classmethod
    def copied(cls, to: Path) -> "Tree":
        """Copy what is in the tree, and nothing that Terraform has left there."""
        shutil.copytree(TREE, to, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        return cls(to)

    def run(self, folder: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run Terraform in a folder of the copy."""
        environ = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        return subprocess.run(
            [program(), f"-chdir={self.path / folder}", *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def init(self, folder: str) -> None:
        """Let Terraform fetch the providers, or link those of a mirror; skips without either."""
        found = self.run(folder, "init", "-backend=false", "-input=false", "-no-color")
        if any(words in found.stderr for words in _NO_PROVIDERS):
            cannot(
                "terraform has no providers: neither a registry that answers nor a mirror in "
                f"TF_CLI_CONFIG_FILE\n{found.stderr}"
            )
        assert found.returncode == 0, found.stderr

    def check(self, folder: str) -> None:
        """Validate a folder and run its tests, of which there must be some."""
        self.init(folder)
        valid = self.run(folder, "validate", "-no-color")
        assert valid.returncode == 0, valid.stderr
        assert "Warning" not in valid.stdout, valid.stdout
        tested = self.run(folder, "test", "-no-color")
        assert tested.returncode == 0, tested.stdout + tested.stderr
        assert "Success! 0 passed" not in tested.stdout, f"{folder} has no tests"

    def planned(self, folder: str, test: str, run: str) -> list[dict[str, Any]]:
        """Return the resources that a run of a test's file plans, with all their arguments."""
        self.init(folder)
        # Whether the run's own assertions hold is asked elsewhere.
        found = self.run(folder, "test", "-json", "-verbose", f"-filter=tests/{test}.tftest.hcl")
        messages = [json.loads(line) for line in found.stdout.splitlines()]
        for message in messages:
            if message["type"] == "test_plan" and message.get("@testrun") == run:
                changes = message["test_plan"]["resource_changes"]
                return [{**change, "after": change["change"]["after"]} for change in changes]
        said = [message["@message"] for message in messages if message["type"] == "diagnostic"]
        pytest.fail(f"{test} has no run {run!r} that was planned: {said}")


def permissions(cloud: str) -> dict[str, list[dict[str, Any]]]:
    """Return what the list for machines says of a cloud, by who acts."""
    text = (INFRA / "permissions" / f"{cloud}.json").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found


def listed(cloud: str, *roles: str) -> set[tuple[str, str]]:
    """Return the pairs of an action and what it is on, of these who act."""
    table = permissions(cloud)
    return {
        (action, row["resource"])
        for role in roles
        for row in table[role]
        for action in row["actions"]
    }


def of_type(resources: list[dict[str, Any]], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the key and the arguments of each planned resource of a type."""
    for resource in resources:
        if resource["type"] == kind:
            yield str(resource.get("index", "")), resource["after"]
