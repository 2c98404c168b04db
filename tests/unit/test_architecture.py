"""Who may import whom: read from the syntax trees of every module there is."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple, TypeGuard

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core"
SDKS = {
    "azure",
    "boto3",
    "botocore",
    "google.cloud",
    "grpc",
    "msal",
    "obstore",
    "opentelemetry",
    "requests",
}
# What the functions leave out of their packages.
TERMINAL = {"typer", "rich", "click"}


class Import(NamedTuple):
    """One imported name: the module, and whether importing the importer imports it at once."""

    target: str
    at_once: bool


def _name(path: Path) -> str:
    base = CORE if path.is_relative_to(CORE) else ROOT
    return ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


PATHS = {_name(p): p for folder in ("core", "functions_*") for p in ROOT.glob(f"{folder}/**/*.py")}
MODULES = sorted(name for name in PATHS if name.startswith("daena_kms"))
HANDLERS = sorted(name for name in PATHS if name.startswith("functions_"))


def _statements(node: ast.AST, *, at_once: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield the import statements, those for type checkers alone left out."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import() | ast.ImportFrom():
                yield child, at_once
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=other):
                for statement in other:
                    yield from _statements(statement, at_once=at_once)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _statements(child, at_once=False)
            case _:
                yield from _statements(child, at_once=at_once)


def _imports(name: str) -> set[Import]:
    """Return what a module imports; a name out of a package counts as the module if it is one."""
    path = PATHS[name]
    found: set[Import] = set()
    for statement, at_once in _statements(ast.parse(path.read_text())):
        if isinstance(statement, ast.Import):
            found |= {Import(alias.name, at_once) for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            anchor = parts[: len(parts) + 1 - statement.level] if statement.level else []
            source = ".".join([*anchor, *filter(None, [statement.module])])
            for alias in statement.names:
                inner = f"{source}.{alias.name}"
                found.add(Import(inner if inner in PATHS else source, at_once))
    return found


IMPORTS = {name: _imports(name) for name in PATHS}


def _is_in(name: str, parts: set[str]) -> bool:
    """Say whether a module is one of the package's parts, or lies in one."""
    inside = name.removeprefix("daena_kms.")
    return any(inside == part or inside.startswith(f"{part}.") for part in parts)


def _forbidden(name: str, parts: set[str]) -> set[str]:
    """Return the parts of the package that a module imports against the rules."""
    own = {i.target for i in IMPORTS[name] if i.target.startswith("daena_kms.")}
    return {target for target in own if _is_in(target, parts)}


def _parts(*names: str) -> list[str]:
    """Return the modules that are, or lie in, the given parts of the package."""
    return [name for name in MODULES if _is_in(name, set(names))]


CLOUDS = {"local", "aws", "azure", "gcp"}
CALLERS = {"kms", "cli", "demo", "doctor"}
RUNNING = {"engine", "operations", "journal", "planning", "work"}
# What only the way to an endpoint needs: imported when one is set.
NETWORK = {"email", "http", "socket", "ssl"}
# What turns a provider's name or an address into the object that stands for it.
FACTORIES = {"daena_kms.objects.address", "daena_kms.cloud_kms"}
# Which modules may import an SDK, and they too only when it is used.
OWNERS = {
    "boto3": {"stores.aws", "demo"},
    "botocore": {"stores.aws", "demo"},
    "azure": {"stores.azure", "demo"},
    "google": {"stores.gcp", "demo"},
    "grpc": {"stores.gcp", "demo"},
    "obstore": {"objects"},
    "opentelemetry": {"telemetry"},
    "requests": {"stores.azure"},
}


def _cloud(name: str) -> str | None:
    """Return the store that a module belongs to: stores.aws and stores.aws_calls are one."""
    family = name.removeprefix("daena_kms.stores.").split(".")[0].split("_")[0]
    return family if family in CLOUDS and name != family else None


STORES = [name for name in _parts("stores") if _cloud(name)]


@pytest.mark.parametrize("name", _parts("policy", "plan", "due", "model", "durations"))
def test_what_decides_has_no_effects(name: str) -> None:
    """Policy and plan touch no store, log, file, clock, environment or randomness."""
    outside = {
        "io",
        "os",
        "pathlib",
        "random",
        "secrets",
        "socket",
        "sqlite3",
        "subprocess",
        "time",
    }
    tree = ast.parse(PATHS[name].read_text())
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    effects = {"audit", "stores", "cloud_kms", "settings", "randomness", "rotation", "runtime"}
    assert _forbidden(name, effects | RUNNING | CALLERS) == set()
    assert {i.target for i in IMPORTS[name]} & outside == set()
    assert attributes & {"now", "utcnow", "today", "monotonic"} == set()


@pytest.mark.parametrize("name", STORES)
def test_a_store_knows_its_base_and_the_model(name: str) -> None:
    """A store decides nothing, writes no audit record and knows no other store."""
    others = {other.removeprefix("daena_kms.") for other in STORES if _cloud(other) != _cloud(name)}
    above = {"plan", "due", "audit", "settings", "summary", "adapter", "cloud_kms"}
    assert _forbidden(name, others | above | RUNNING | CALLERS) == set()


@pytest.mark.parametrize(
    "name",
    sorted(
        set(_parts(*RUNNING, "adapter", "audit", "manifests", "rotation", "runtime", "summary"))
    ),
)
def test_engine_and_audit_know_no_cloud(name: str) -> None:
    """They see a store through its base: no module of one cloud, and no cloud's name."""
    concrete = {store.removeprefix("daena_kms.") for store in STORES}
    assert _forbidden(name, concrete | CALLERS) == set()
    words = {n.value for n in ast.walk(ast.parse(PATHS[name].read_text())) if _is_word(n)}
    assert words & CLOUDS == set()


def _is_word(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize("name", _parts("audit", "manifests", "adapter", "cloud_kms"))
def test_what_the_engine_drives_knows_no_engine(name: str) -> None:
    """Logs and adapters do what they are told, whoever tells them, apart from each other."""
    logs = {"audit", "manifests"}
    other = {"adapter", "cloud_kms"} if _is_in(name, logs) else logs
    assert _forbidden(name, other | RUNNING | CALLERS) == set()


@pytest.mark.parametrize(
    "name", sorted(set(_parts("objects", "stores")) - {"daena_kms.objects.address"})
)
def test_objects_and_stores_know_nothing_above_them(name: str) -> None:
    """Where a store or the log keeps objects, it is told so: only the factory reads settings."""
    above = {"plan", "due", "audit", "settings", "summary", "adapter", "cloud_kms"}
    assert _forbidden(name, above | RUNNING | CALLERS) == set()


@pytest.mark.parametrize("name", _parts("notify"))
def test_who_tells_of_a_run_knows_neither_it_nor_a_store(name: str) -> None:
    """Events come from the summary and go to a sink; the engine calls, and is never called."""
    above = {"api", "stores", "objects", "adapter", "cloud_kms", "rotation", "runtime"}
    assert _forbidden(name, above | RUNNING | CALLERS) == set()


@pytest.mark.parametrize("name", _parts("notify"))
def test_the_way_to_an_endpoint_is_imported_only_when_one_is_set(name: str) -> None:
    """Its modules alone know the network, and the package imports them on use."""
    way = {"daena_kms.notify.webhook", "daena_kms.notify.wire"}
    if name not in way:
        found = {i for i in IMPORTS[name] if i.at_once}
        assert {i.target for i in found if i.target.split(".")[0] in NETWORK} == set()
        assert {i.target for i in found} & way == set()


@pytest.mark.parametrize("name", _parts("notify.events", "notify.guard", "notify.endpoint"))
def test_what_is_told_and_where_it_may_go_is_decided_without_effects(name: str) -> None:
    """No clock, no file, no look-up: the same summary and settings give the same answer."""
    outside = {"io", "os", "pathlib", "random", "secrets", "socket", "subprocess", "time"}
    assert {i.target for i in IMPORTS[name]} & outside == set()


@pytest.mark.parametrize("name", [name for name in MODULES if not _is_in(name, CALLERS)])
def test_nothing_beneath_knows_the_callers(name: str) -> None:
    """Service, command line and demonstration stand on top, and the terminal with them."""
    assert _forbidden(name, CALLERS) == set()
    assert {i.target.split(".")[0] for i in IMPORTS[name]} & TERMINAL == set()


@pytest.mark.parametrize("name", [name for name in MODULES if not _is_in(name, {"doctor", "cli"})])
def test_the_command_line_alone_asks_the_doctor(name: str) -> None:
    """It looks at everything, so that nothing may depend on it."""
    assert _forbidden(name, {"doctor"}) == set()


@pytest.mark.parametrize("name", _parts("doctor"))
def test_the_doctor_chooses_a_cloud_in_one_place(name: str) -> None:
    """Outside of its factory no module of it names a provider to decide by it."""
    tree = ast.parse(PATHS[name].read_text())
    compared = {n for c in ast.walk(tree) if isinstance(c, ast.Compare) for n in ast.walk(c)}
    words = {node.value for node in compared if _is_word(node)}
    schemes = {"s3", "az", "gs", "file"} if name != "daena_kms.doctor.factory" else set()
    assert words & (CLOUDS | schemes) == set()


@pytest.mark.parametrize("name", HANDLERS)
def test_handlers_hold_no_policy(name: str) -> None:
    """A handler goes through settings and the engine, never to a policy or a store by itself."""
    assert _forbidden(name, {"policy", "plan", "stores", *CALLERS}) == set()


@pytest.mark.parametrize("name", MODULES)
def test_package_knows_nothing_outside(name: str) -> None:
    """The package imports no function and no test."""
    roots = {target.split(".")[0] for target, _ in IMPORTS[name]}
    assert [root for root in roots if root == "tests" or root.startswith("functions_")] == []


@pytest.mark.parametrize("name", MODULES)
def test_sdks_are_imported_on_use_and_by_their_owner(name: str) -> None:
    """A cloud's SDK is imported in a function, in the modules that stand for that cloud."""
    sdks = {i for i in IMPORTS[name] if i.target.split(".")[0] in OWNERS}
    assert {i.target for i in sdks if i.at_once} == set()
    strangers = {i.target for i in sdks if not _is_in(name, _family(i.target.split(".")[0]))}
    assert strangers == set()


def _family(sdk: str) -> set[str]:
    """Return the owners of an SDK, their helper modules (stores.aws_calls) included."""
    stems = {name.removeprefix("daena_kms.") for name in MODULES}
    owners = OWNERS[sdk]
    return owners | {stem for stem in stems if any(stem.startswith(f"{o}_") for o in owners)}


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Whichever module is imported first, the others are complete when it needs them."""
    graph = {
        name: {i.target for i in IMPORTS[name] if i.at_once and i.target in PATHS} - {name}
        for name in MODULES
    }
    assert set(TopologicalSorter(graph).static_order()) >= set(MODULES)


def test_importing_the_package_loads_no_sdk() -> None:
    """No module loads an SDK, and none beneath the command line a terminal library."""
    program = """
import importlib, json, sys
forbidden, names = json.load(sys.stdin)
for name in names:
    before = set(sys.modules)
    importlib.import_module(name)
    loaded = {module for module in set(sys.modules) - before
              if any(module == sdk or module.startswith(sdk + ".") for sdk in forbidden)}
    assert not loaded, (name, sorted(loaded))
"""
    above = [name for name in MODULES if _is_in(name, {"cli", "demo"})]
    beneath = [name for name in MODULES if name not in above]
    for forbidden, names in ((SDKS | TERMINAL, beneath), (SDKS, above)):
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps([sorted(forbidden), names]),
            text=True,
            check=True,
            cwd=ROOT,
        )
