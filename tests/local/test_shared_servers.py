"""The servers that tests share: a test process starts each of them once."""

import ast
from pathlib import Path

import pytest

from infra.local.process import ROOT

SHARED = {"local_aws", "local_blobs", "local_blobs_tls", "local_gcs", "bundle"}
PLUGIN = ROOT / "tests" / "worlds" / "servers.py"
MODULES = sorted(path for path in (ROOT / "tests").rglob("*.py") if path != PLUGIN)


def fixtures(path: Path) -> set[str]:
    """Return the shared servers that a module imports or defines for itself."""
    tree = ast.parse(path.read_text())
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return SHARED & (imported | defined)


def test_the_plugin_has_them(request: pytest.FixtureRequest) -> None:
    """Each of them is a fixture of the whole session."""
    assert fixtures(PLUGIN) == SHARED
    assert request.config.pluginmanager.get_plugin("tests.worlds.servers") is not None


def test_nobody_else_has_them() -> None:
    """Pytest takes an imported fixture for another one, and would start another server for it."""
    assert {str(path): found for path in MODULES if (found := fixtures(path))} == {}
