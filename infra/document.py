#!/usr/bin/env python
"""Writes the tables of inputs, outputs and resources into each Terraform module's README.md.

``infra/document.py`` writes, ``infra/document.py --check`` only says what would change. It reads
what ``terraform fmt`` has put in order, and refuses what it does not know.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parent / "terraform"
MARK = "<!-- What follows is written by infra/document.py. -->"
_BLOCK = re.compile(
    r'^(variable|output|resource) "([^"]+)"(?: "([^"]+)")? \{$(.*?)^\}$', re.MULTILINE | re.DOTALL
)
_ARGUMENT = re.compile(r"^  (\w+) += (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A variable, an output or a resource, with the arguments that stand on one line."""

    kind: str
    name: str
    label: str
    arguments: dict[str, str]

    @property
    def where(self) -> str:
        """Its name as messages say it."""
        return f"{self.kind} {self.name}"


def blocks(module: Path) -> list[Block]:
    """Return a module's blocks in the order of their files and lines."""
    found = []
    for path in sorted(module.glob("*.tf")):
        for kind, name, label, body in _BLOCK.findall(path.read_text(encoding="utf-8")):
            found.append(Block(kind, name, label, dict(_ARGUMENT.findall(body))))
    return found


def text(block: Block) -> str:
    """Return a block's description. Raises ValueError when it has none."""
    given = block.arguments.get("description", "")
    match = re.fullmatch(r'"(.+)"', given)
    if match is None:
        raise ValueError(f"{block.where} has no description on one line")
    return match[1].replace('\\"', '"').replace("|", "\\|")


def row_of_input(block: Block) -> str:
    """Return the row of a variable. Raises ValueError when it has no type."""
    kind = block.arguments.get("type")
    if kind is None:
        raise ValueError(f"{block.where} has no type on one line")
    default = block.arguments.get("default")
    shown = "required" if default is None else f"`{default.replace('|', '\\|')}`"
    return f"| `{block.name}` | {text(block)} | `{kind}` | {shown} |"


def tables(module: Path) -> str:
    """Return the generated part of a module's README."""
    found = blocks(module)
    inputs = sorted((b for b in found if b.kind == "variable"), key=lambda b: b.name)
    outputs = sorted((b for b in found if b.kind == "output"), key=lambda b: b.name)
    resources = sorted({b.name for b in found if b.kind == "resource"})
    return "\n".join(
        [
            *(
                MARK,
                "",
                "## Inputs",
                "",
                "| name | meaning | type | default |",
                "|---|---|---|---|",
            ),
            *map(row_of_input, inputs),
            *("", "## Outputs", "", "| name | meaning |", "|---|---|"),
            *(f"| `{b.name}` | {text(b)} |" for b in outputs),
            *("", "## Resources", "", ", ".join(f"`{name}`" for name in resources), ""),
        ]
    )


def document(readme: Path) -> str:
    """Return a README as it should be: what people wrote, and the tables."""
    written, mark, _ = readme.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise ValueError(f"{readme} has no line {MARK!r}, after which the tables go")
    return written + tables(readme.parent)


def main(arguments: list[str] | None = None) -> int:
    """Write, or with ``--check`` name what differs."""
    parser = argparse.ArgumentParser(description="Document the Terraform modules")
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(arguments).check
    different = []
    for readme in sorted(TREE.glob("*/README.md")):
        wanted = document(readme)
        if wanted != readme.read_text(encoding="utf-8"):
            different.append(readme)
            if not check:
                readme.write_text(wanted, encoding="utf-8")
    for readme in different:
        sys.stdout.write(f"{readme} {'is out of date' if check else 'was written'}\n")
    return int(check and bool(different))


if __name__ == "__main__":
    raise SystemExit(main())
