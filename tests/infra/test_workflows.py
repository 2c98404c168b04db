"""The workflows that deploy trust the clouds' own federation, and hold no key."""

import re
from pathlib import Path

import pytest

from tests.infra.deployed import CLOUDS, ROOT, folders

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REACHING_A_CLOUD = [path for path in WORKFLOWS if path.name != "ci.yml"]


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
