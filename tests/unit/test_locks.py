"""The lock files say what the project asks for, and the environment is what they say."""

import json
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = PROJECT["project"]["name"]
FUNCTIONS = ["function-aws", "function-azure", "function-gcp"]
AZURITE = ROOT / "requirements" / "azurite"


def locked(name: str) -> dict[str, str]:
    """Return the versions that a lock file pins on this machine, by package."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    lines = re.findall(r"^([a-z0-9].*?) *\\?$", text, flags=re.MULTILINE)
    pins = [Requirement(line) for line in lines]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group, those that it includes too."""
    requirements: list[str] = []
    for entry in PROJECT["dependency-groups"][name]:
        requirements += [entry] if isinstance(entry, str) else group(entry["include-group"])
    return requirements


def asked() -> dict[str, list[str]]:
    """Return what pyproject.toml asks for, by lock file."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    project = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    backend = PROJECT["build-system"]["requires"]
    functions = {name: group(name) for name in FUNCTIONS}
    return {"dev": [*project, *backend, *group("dev")], **functions}


def closure(requirements: list[str]) -> dict[str, str]:
    """Return the installed packages that the requirements lead to, each with its version."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(Requirement(line), "") for line in requirements]
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if name == NAME or (
            requirement.marker and not requirement.marker.evaluate({"extra": extra})
        ):
            continue
        installed = distribution(name)
        assert requirement.specifier.contains(installed.version, prereleases=True), requirement
        found[name] = installed.version
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                todo += [(Requirement(line), wanted) for line in installed.requires or []]
    return found


@pytest.mark.parametrize("name", asked())
def test_lock_file_pins_exactly_what_is_asked_for_and_installed(name: str) -> None:
    """No package that pyproject.toml leads to is missing, superfluous or of another version."""
    assert locked(name) == closure(asked()[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_ships_the_versions_that_were_tested(name: str) -> None:
    """A version in a function's lock file is the one in the development lock file."""
    assert locked(name).items() <= locked("dev").items()


def test_every_lock_file_is_held_against_something() -> None:
    """A new lock file isn't forgotten here; uv, which reads the others, stands alone in its own."""
    names = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert names == {*asked(), "infra", "uv"}
    assert set(locked("uv")) == {"uv"}


def test_the_tools_for_templates_are_locked() -> None:
    """Each that is asked for is pinned, at a version that is asked for."""
    lines = (ROOT / "requirements" / "infra.in").read_text().splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]
    pins = locked("infra")
    assert [w.name for w in wanted] == ["aws-sam-cli", "cfn-lint", "checkov"]
    assert all(wish.specifier.contains(pins[wish.name]) for wish in wanted)


def npm_document(path: Path) -> dict[str, Any]:
    """Return one of npm's documents."""
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def npm_packages() -> dict[str, dict[str, Any]]:
    """Return what azurite's lock file pins, by path; the project's own entry is left out."""
    packages: dict[str, dict[str, Any]] = npm_document(AZURITE / "package-lock.json")["packages"]
    return {path: package for path, package in packages.items() if path}


def test_azurite_is_asked_for_by_its_exact_version() -> None:
    """What is asked for is one version, and it is the one that is locked."""
    asked_for = npm_document(AZURITE / "package.json")
    lock = npm_document(AZURITE / "package-lock.json")
    assert lock["lockfileVersion"] == 3
    assert lock["packages"][""]["dependencies"] == asked_for["dependencies"]
    exact = {**asked_for["dependencies"], **asked_for["overrides"]}
    assert set(exact) == {"applicationinsights", "azurite"}
    packages = npm_packages()
    for name, version in exact.items():
        assert packages[f"node_modules/{name}"]["version"] == version


def test_azurite_comes_by_hash_from_wherever_npm_looks() -> None:
    """Every package has a hash and none an address or a link out of the registry."""
    packages = npm_packages()
    assert len(packages) > 100
    for path, package in packages.items():
        assert set(package) & {"resolved", "link", "inBundle", "bundled"} == set(), path
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"]), path
        assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", package["version"]), path


def test_azurite_that_is_installed_is_the_locked_one() -> None:
    """Each package of azurite's environment has the version of the lock file; none is missing."""
    modules = ROOT / ".azurite"
    for path, package in npm_packages().items():
        if not package.get("optional"):
            installed = npm_document(modules / path / "package.json")
            assert installed["version"] == package["version"], path
