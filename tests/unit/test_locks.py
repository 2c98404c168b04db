"""The lock files say what pyproject.toml asks for, and the environment is what they say."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = PROJECT["project"]["name"]


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
    return {"dev": [*project, *backend, *group("dev")], "function-aws": group("function-aws")}


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


def test_function_ships_the_versions_that_were_tested() -> None:
    """A version in the function's lock file is the one in the development lock file."""
    assert locked("function-aws").items() <= locked("dev").items()


def test_every_lock_file_is_held_against_something() -> None:
    """A new lock file isn't forgotten here; uv, which reads the others, stands alone in its own."""
    names = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert names == {*asked(), "uv"}
    assert set(locked("uv")) == {"uv"}
