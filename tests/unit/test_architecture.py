"""Who may import whom: read from the syntax trees of every module there is."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple, TypeGuard

import daena_kms
from daena_kms.settings import PROVIDERS

from tests.each import for_each

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


CLOUDS = {path.parent.name for path in CORE.glob("daena_kms/stores/*/__init__.py")}
#: From the ground up: a part imports of this package only itself and what stands before it.
ORDER = (
    *("errors", "rules", "settings", "sdk", "objects", "stores", "cloud_kms"),
    *(
        "audit",
        "seal",
        "notify",
        "engine",
        "operations",
        "kms",
        "api",
        "doctor",
        "cli",
        "platforms",
    ),
)
#: What in addition one part of them leaves alone: apart from each other, though not above.
APART = {
    "sdk": {"rules", "settings"},
    "audit": {"stores", "cloud_kms"},
    "kms.manifests": {"stores", "cloud_kms", "engine", "operations", "notify"},
    "seal": {"stores", "cloud_kms"},
    "notify": {"sdk", "objects", "stores", "cloud_kms"},
    "doctor": {"api", "kms.service"},
    "platforms": {"cli", "doctor", "kms"},
}
# What only the way to an endpoint needs: imported when one is set.
NETWORK = {"email", "http", "socket", "ssl"}
# Which modules may import an SDK, and they too only when it is used.
OWNERS = {
    "boto3": {"sdk.aws", "stores.aws"},
    "botocore": {"sdk.aws", "stores.aws"},
    "azure": {"sdk.azure", "stores.azure"},
    "google": {"sdk.gcp", "stores.gcp"},
    "google_crc32c": {"sdk.gcp", "stores.gcp"},
    "grpc": {"sdk.gcp", "stores.gcp"},
    "obstore": {"objects"},
    "opentelemetry": {"platforms.telemetry"},
    "requests": {"sdk.azure"},
    # In sdk.rest for TLS in TLS, where a proxy is reached by TLS; every SDK there has it.
    "urllib3": {"sdk.azure", "sdk.rest"},
}
#: Libraries that any module may import.
EVERYWHERE = {"cryptography"}
EFFECTS = {
    *("io", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "subprocess", "time"),
}


def _part(name: str) -> str:
    """Return the part of the package that a module belongs to."""
    return name.removeprefix("daena_kms.").partition(".")[0]


def _cloud(name: str) -> str | None:
    """Return the cloud that a module stands for: stores.aws.state and sdk.aws.client are AWS's."""
    found = name.removeprefix("daena_kms.").split(".")[1:2]
    return found[0] if found and found[0] in CLOUDS else None


STORES = [name for name in _parts("stores") if _cloud(name)]


def test_every_part_has_its_place() -> None:
    """No folder and no module at the top of the package stands outside the order."""
    assert {_part(name) for name in MODULES if name != "daena_kms"} == set(ORDER)


@for_each([name for name in MODULES if name != "daena_kms"])
def test_a_part_imports_only_what_is_beneath_it(name: str) -> None:
    """No import runs upwards, so that there is no circle of folders either."""
    above = ORDER[ORDER.index(_part(name)) + 1 :]
    apart = {other for part, others in APART.items() if _is_in(name, {part}) for other in others}
    assert _forbidden(name, {*above, *apart}) == set()


@for_each(_parts("rules"))
def test_what_decides_has_no_effects(name: str) -> None:
    """Rules touch no store, log, file, clock, environment or randomness."""
    tree = ast.parse(PATHS[name].read_text())
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    # A version's id of ours holds random digits.
    allowed = {"secrets"} if name == "daena_kms.rules.names" else set()
    assert ({i.target for i in IMPORTS[name]} & EFFECTS) - allowed == set()
    assert attributes & {"now", "utcnow", "today", "monotonic"} == set()


@for_each([name for name in MODULES if _cloud(name)])
def test_a_cloud_knows_no_other(name: str) -> None:
    """What stands for one cloud or store imports nothing of another's."""
    others = [other for other in MODULES if _cloud(other) not in {None, _cloud(name)}]
    assert _forbidden(name, {other.removeprefix("daena_kms.") for other in others}) == set()


@for_each(STORES)
def test_a_store_decides_nothing(name: str) -> None:
    """A store holds no policy of its own: it never plans."""
    assert _forbidden(name, {"rules.plan", "rules.due", "rules.summary", "stores.adapter"}) == set()


@for_each(_parts("engine", "operations", "audit", "kms.manifests", "stores.adapter"))
def test_engine_and_audit_know_no_cloud(name: str) -> None:
    """They see a store through its base: no module of one cloud, and no cloud's name."""
    concrete = {other.removeprefix("daena_kms.") for other in MODULES if _cloud(other)}
    assert _forbidden(name, concrete) == set()
    words = {n.value for n in ast.walk(ast.parse(PATHS[name].read_text())) if _is_word(n)}
    assert words & CLOUDS == set()


def _is_word(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@for_each(_parts("objects", "stores", "sdk"))
def test_beneath_the_adapter_only_factories_read_settings(name: str) -> None:
    """Where a store or the log keeps objects, it is told so."""
    if name not in {"daena_kms.objects.address", "daena_kms.stores.adapter"}:
        assert _forbidden(name, {"settings", "cloud_kms"}) == set()


@for_each(_parts("notify"))
def test_the_way_to_an_endpoint_is_imported_only_when_one_is_set(name: str) -> None:
    """Its modules alone know the network, and the package imports them on use."""
    way = {"daena_kms.notify.webhook", "daena_kms.notify.wire"}
    if name not in way:
        found = {i for i in IMPORTS[name] if i.at_once}
        assert {i.target for i in found if i.target.split(".")[0] in NETWORK} == set()
        assert {i.target for i in found} & way == set()


@for_each(_parts("notify.events", "notify.guard", "notify.endpoint"))
def test_what_is_told_and_where_it_may_go_is_decided_without_effects(name: str) -> None:
    """No clock, no file, no look-up: the same summary and settings give the same answer."""
    assert {i.target for i in IMPORTS[name]} & EFFECTS == set()


@for_each([name for name in MODULES if _part(name) != "cli"])
def test_the_command_line_alone_knows_the_terminal(name: str) -> None:
    """Functions leave out what tables and options need."""
    assert {i.target.split(".")[0] for i in IMPORTS[name]} & TERMINAL == set()


@for_each(_parts("doctor"))
def test_the_doctor_chooses_a_cloud_in_one_place(name: str) -> None:
    """Outside of its factory no module of it names a provider to decide by it."""
    tree = ast.parse(PATHS[name].read_text())
    compared = {n for c in ast.walk(tree) if isinstance(c, ast.Compare) for n in ast.walk(c)}
    words = {node.value for node in compared if _is_word(node)}
    schemes = {"s3", "az", "gs", "file"} if name != "daena_kms.doctor.factory" else set()
    assert words & (CLOUDS | schemes) == set()


@for_each(HANDLERS)
def test_handlers_hold_no_policy(name: str) -> None:
    """A handler goes through settings and the engine, never to a policy or a store by itself."""
    assert _forbidden(name, {"rules", "stores", "sdk", "kms", "cli", "doctor"}) == set()


@for_each([*MODULES, *HANDLERS])
def test_a_public_name_comes_from_its_module(name: str) -> None:
    """The package's lazy names are for users: what packs a function does not follow them."""
    lazy = {
        alias.name
        for node in ast.walk(ast.parse(PATHS[name].read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "daena_kms"
        for alias in node.names
    }
    assert lazy & {*daena_kms.__all__} == set()


@for_each(MODULES)
def test_package_knows_nothing_outside(name: str) -> None:
    """The package imports no function, no test, and nothing that packs or shows it."""
    roots = {target.split(".")[0] for target, _ in IMPORTS[name]}
    assert (
        roots & {"tests", "infra", *(root for root in roots if root.startswith("functions_"))}
        == set()
    )


@for_each(MODULES)
def test_sdks_are_imported_on_use_and_by_their_owner(name: str) -> None:
    """A cloud's SDK is imported in a function, in the modules that stand for that cloud."""
    sdks = {i for i in IMPORTS[name] if i.target.split(".")[0] in OWNERS}
    assert {i.target for i in sdks if i.at_once} == set()
    strangers = {i.target for i in sdks if not _is_in(name, OWNERS[i.target.split(".")[0]])}
    assert strangers == set()


def test_every_library_has_its_owner() -> None:
    """A library that no rule knows would be held by none of them."""
    roots = {target.split(".")[0] for name in MODULES for target, _ in IMPORTS[name]}
    known = {"daena_kms", *sys.stdlib_module_names, *OWNERS, *TERMINAL, *EVERYWHERE}
    assert roots - known == set()


def test_every_provider_has_a_store() -> None:
    """The rules for clouds find a new one by its folder."""
    assert set(PROVIDERS) == CLOUDS


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Whichever module is imported first, the others are complete when it needs them."""
    graph = {
        name: {i.target for i in IMPORTS[name] if i.at_once and i.target in PATHS} - {name}
        for name in MODULES
    }
    assert set(TopologicalSorter(graph).static_order()) >= set(MODULES)


@for_each(sorted(set(MODULES) - {"daena_kms.sdk.quiet"}))
def test_the_package_logs_under_one_name(name: str) -> None:
    """Deployments filter by that name; only what a function itself logs has one of its own."""
    lines = [line.strip() for line in PATHS[name].read_text().splitlines() if "getLogger" in line]
    known = {
        'logger = logging.getLogger("daena_kms")',
        'return logging.getLogger(f"{_OURS}.function")',
    }
    assert set(lines) <= known


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
    above = [name for name in MODULES if _is_in(name, {"cli"})]
    beneath = [name for name in MODULES if name not in above]
    for forbidden, names in ((SDKS | TERMINAL, beneath), (SDKS, above)):
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps([sorted(forbidden), names]),
            text=True,
            check=True,
            cwd=ROOT,
        )
