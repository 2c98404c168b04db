"""How the documentation site is built: ``make docs``, or sphinx-build with this folder as ``-c``.

The repository's root is the source folder, so that the documents link to each other, and to what
lies beside them, as they do in a checkout. Nothing is fetched: no inventory, font or script.
"""

import importlib
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = "daena-kms"
version = release = _PROJECT["version"]
project_copyright = "Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "core/DESIGN.md",
    "infra/**/README.md",
]
# What is not looked into; of ``**/.*`` the root's own folders are none.
exclude_patterns = [".*", "**/.*", "build", "dist", "docs/_*"]

html_theme = "furo"
html_title = f"daena-kms {version}"
html_extra_path = ["site"]  # the address without a path leads to the first page
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 4
# A lexer that does not know all of a language says nothing of the text.
suppress_warnings = ["misc.highlighting_failure"]

# Docstrings have Google sections and no others.
napoleon_numpy_docstring = False
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

nitpicky = True
# What is ours must have a page, and what an adapter or a document names has one. Other people's
# types would need their inventories, from the network.
nitpick_ignore_regex = [(r"py:.*", r"(?!daena_kms).*")]


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Node | None:
    """Resolve ``ConfigError`` to the only documented object of that name and kind, wherever it is.

    A docstring names what its module imports, as its code does. A name that exists but has no page
    stays plain text. A name that does not exist is reported.
    """
    if node.get("refdomain") != "py":
        return None
    domain: Any = env.get_domain("py")
    target, last = node["reftarget"], node["reftarget"].rpartition(".")[2]
    kinds = domain.objtypes_for_role(node["reftype"], ())
    found = [
        name
        for name, entry in domain.objects.items()
        if name.rpartition(".")[2] == last and entry.objtype in kinds and not entry.aliased
    ]
    if len(found) == 1:
        resolved: nodes.Node | None = domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", found[0], node, text
        )
        return resolved
    return text if target.startswith("daena_kms.") and _exists(target) else None


def _unlink_folders(app: Sphinx, doctree: nodes.document) -> None:
    """Leave the words alone where a document links to a folder, which only a checkout can show."""
    for node in list(doctree.findall(pending_xref)):
        here = (Path(app.srcdir) / app.env.docname).parent
        if node["reftype"] == "myst" and (here / node["reftarget"]).is_dir():
            node.replace_self(node.children)


def _exists(name: str) -> bool:
    """Whether a module, or something in one, has this name."""
    module, _, last = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), last) or bool(importlib.import_module(name))
    except ImportError:
        return False


def setup(app: Sphinx) -> None:
    """Let names be resolved as docstrings write them."""
    app.connect("missing-reference", _resolve)
    app.connect("doctree-read", _unlink_folders)
