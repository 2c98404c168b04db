"""Rules about the repository's files, so that no reviewer has to look for them."""

import io
import os
import re
import stat
import tokenize
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.each import for_each

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MADE = {"build", "dist", "__pycache__"}
HARD_LIMIT, AIM = 400, 300


def _files() -> list[Path]:
    """Return the project's own files: not what git or a tool keeps beside them."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if name not in MADE
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or (here == ROOT and name in {".ci", ".github"}))
        ]
        # In a second work tree .git is a file, which names the first.
        found += [here / n for n in names if n != ".git" and not n.startswith(".coverage")]
    return sorted(path for path in found if path.is_file())


def _within(pattern: str) -> list[str]:
    """Return the Python files under the folders that match, by their names from the root."""
    return [name for name in PYTHON if re.match(pattern, name)]


TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in _files()
    if b"\0" not in path.read_bytes()
}
PYTHON = sorted(name for name in TEXTS if name.endswith(".py"))
DOCUMENTS = sorted(name for name in TEXTS if name.endswith(".md"))
LOCKS = sorted(name for name in TEXTS if re.match(r"requirements/.*\.txt$", name))
TARGETS = set(re.findall(r"^([a-z-]+):", TEXTS["Makefile"], flags=re.MULTILINE))


def _lines(pattern: str, names: list[str] | None = None) -> list[str]:
    """Return where the pattern occurs, as file:line."""
    return [
        f"{name}:{number}"
        for name in (sorted(TEXTS) if names is None else names)
        for number, line in enumerate(TEXTS[name].splitlines(), start=1)
        if re.search(pattern, line)
    ]


def _length(name: str) -> int:
    return len(TEXTS[name].splitlines())


def test_no_module_is_longer_than_the_hard_limit() -> None:
    """A module is as long as its topic; past 400 lines it is about more than one."""
    assert {name: _length(name) for name in PYTHON if _length(name) > HARD_LIMIT} == {}


def test_few_modules_are_longer_than_the_aim() -> None:
    """At most one module in eight of the package and the functions has more than 300 lines."""
    modules = _within(r"core/|functions_")
    long = {name: _length(name) for name in modules if _length(name) > AIM}
    assert len(long) * 8 <= len(modules), long


def test_handlers_are_short() -> None:
    """A handler parses, builds, runs and maps, in fewer than 80 lines."""
    assert {name: _length(name) for name in _within(r"functions_") if _length(name) >= 80} == {}


def test_no_two_test_files_share_a_name() -> None:
    """A report that names `test_x.py` means one file, and an editor finds it by its name."""
    files = Counter(Path(name).name for name in _within(r"tests/.*/test_\w+\.py$"))
    assert files.total() > 100
    assert [name for name, count in files.items() if count > 1] == []


def test_the_import_package_is_daena_kms_alone() -> None:
    """Nothing can be imported from `core`, and type checkers find the package's types."""
    assert "core/__init__.py" not in TEXTS
    assert "core/daena_kms/py.typed" in TEXTS
    assert _lines(r"^\s*(from|import) core\b", PYTHON) == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash_and_no_address(name: str) -> None:
    """Whatever index a machine uses, it gets the same files or none."""
    entries = re.sub(r"\\\n", " ", TEXTS[name]).splitlines()
    packages = [line for line in entries if line.strip() and not line.lstrip().startswith("#")]
    assert packages
    assert [line for line in packages if not re.match(r"[a-z0-9-]+(\[.*\])?==\S+ ", line)] == []
    assert [line for line in packages if "--hash=sha256:" not in line] == []
    assert _lines(r"://|--(index|extra-index|find-links)|@ |^-", [name]) == []


def test_no_registry_is_named() -> None:
    """Packages are asked for by name; where from is the machine's own setting."""
    hosts = [
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("yarn", "pkg.com"),
        ("deb", ".debian.org"),
        ("crates", ".io/api"),
        ("docker", ".io"),
    ]
    assert _lines("|".join(re.escape(first + second) for first, second in hosts)) == []


def test_no_path_of_one_machine_is_named() -> None:
    """Nothing refers to a folder that only one developer has."""
    assert _lines(r"(?<![\w.$}-])/(root|work|Users)/") == []


def test_one_python_version_is_named_everywhere() -> None:
    """The interpreter, the package, the linter and the type checker agree."""
    version = TEXTS[".python-version"].strip()
    assert PROJECT["project"]["requires-python"] == f">={version}"
    assert PROJECT["tool"]["mypy"]["python_version"] == version
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{version.replace('.', '')}"


@for_each(DOCUMENTS)
def test_commands_in_documents_exist(name: str) -> None:
    """Every `make …` that a document shows is a target of the Makefile."""
    code = re.findall(r"```.*?```|`[^`\n]+`", TEXTS[name], flags=re.DOTALL)
    shown = {word for part in code for word in re.findall(r"(?<![\w-])make ([a-z-]+)", part)}
    assert shown - TARGETS == set()


@for_each(DOCUMENTS)
def test_links_in_documents_lead_somewhere(name: str) -> None:
    """Every relative link in a document names a file or folder of this repository."""
    links = re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", TEXTS[name])
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_makefile_explains_what_it_offers() -> None:
    """The targets that people need have a help text."""
    helped = set(re.findall(r"^([a-z-]+):.*## ", TEXTS["Makefile"], flags=re.MULTILINE))
    assert helped >= {"demo", "test", "check", "bench", "fmt", "lock", "clean", "help"}


@pytest.mark.parametrize("name", [".ci/run", ".github/workflows/ci.yml"])
def test_every_gate_runs_the_same_commands(name: str) -> None:
    """What passes on a developer's machine is what is asked for everywhere."""
    assert {"test", "test-faults", "test-delivery", "check"} <= set(
        re.findall(r"make ([a-z-]+)", TEXTS[name])
    )


@pytest.mark.parametrize("name", [name for name in TEXTS if TEXTS[name].startswith("#!")])
def test_scripts_can_be_executed(name: str) -> None:
    """A file that names its interpreter has the mode to be run."""
    assert (ROOT / name).stat().st_mode & stat.S_IXUSR


def test_nothing_is_left_to_do() -> None:
    """Work that remains is an issue, not a remark in a file."""
    words = [("TO", "DO"), ("FIX", "ME"), ("XX", "X")]
    own = [name for name in TEXTS if name not in LOCKS]
    assert _lines("|".join(rf"\b{first}{second}\b" for first, second in words), own) == []


def test_no_private_key_is_stored() -> None:
    """Tests make the keys that they need."""
    assert _lines("-----BEGIN [A-Z ]*PRIVATE" + " KEY-----\\s*$") == []


@for_each(PYTHON)
def test_every_silenced_check_has_its_reason_beside_it(name: str) -> None:
    """A comment that silences a tool names the rule and says why."""
    tokens = tokenize.generate_tokens(io.StringIO(TEXTS[name]).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    silenced = [t for t in comments if re.search(r"noqa|type: ?ignore|pragma: no", t.string)]
    reasoned = (
        r"# (noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[a-z, -]+\]|pragma: no (cover|branch))"
        r"( +# (noqa|type): ?[\w\[\], -]+)?\W+\w"
    )
    assert [(t.start[0], t.string) for t in silenced if not re.match(reasoned, t.string)] == []
