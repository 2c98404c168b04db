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

from tests.infra.providers import Providers

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TREE = INFRA / "terraform"
CLOUDS = ("aws", "azure", "gcp")
#: Each module's tests of who may do what.
PERMISSIONS = "permissions.tftest.hcl"
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


#: Those of this process; ``conftest.py`` ends them.
PROVIDERS = Providers()
#: By the name of a test's run, the resources that it plans, with all their arguments.
type Plans = dict[str, list[dict[str, Any]]]


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
        """Run Terraform in a folder of the copy, with providers that run already."""
        environ = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        reattach = PROVIDERS.reattach(self.path / folder)
        if reattach:
            environ["TF_REATTACH_PROVIDERS"] = reattach
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
        """Validate a folder and run its tests, of which there must be some.

        The tests of permissions run once: where their plans are held against what is called.
        """
        self.init(folder)
        valid = self.run(folder, "validate", "-no-color")
        assert valid.returncode == 0, valid.stderr
        assert "Warning" not in valid.stdout, valid.stdout
        files = sorted(path.name for path in (self.path / folder / "tests").glob("*.tftest.hcl"))
        wanted = [f"-filter=tests/{name}" for name in files if name != PERMISSIONS]
        assert wanted, f"{folder} has no tests"
        tested = self.run(folder, "test", "-no-color", *wanted)
        assert tested.returncode == 0, tested.stdout + tested.stderr
        assert "Success! 0 passed" not in tested.stdout, f"{folder} has no tests"

    def permissions(self, cloud: str) -> Plans:
        """Run a module's tests of permissions, which must pass; return what each run planned."""
        self.init(cloud)
        found = self.run(cloud, "test", "-json", "-verbose", f"-filter=tests/{PERMISSIONS}")
        messages = [json.loads(line) for line in found.stdout.splitlines()]
        wrong = [m["@message"] for m in messages if m["type"] == "diagnostic"]
        assert (found.returncode, wrong) == (0, []), found.stdout[-3000:] + found.stderr
        return {
            m["@testrun"]: [
                {**change, "after": change["change"]["after"]}
                for change in m["test_plan"]["resource_changes"]
            ]
            for m in messages
            if m["type"] == "test_plan"
        }


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
