"""The guide to other people's Terraform holds blocks that Terraform takes."""

import re
from pathlib import Path

import pytest

from tests.infra.deployed import ROOT, Tree

GUIDE = (ROOT / "docs" / "TERRAFORM.md").read_text(encoding="utf-8")
SECTIONS = {"AWS": "aws", "Azure": "azurerm", "Google Cloud": "google"}
#: What a rotation writes into a secret, by the provider's names: without it an apply reverts it.
WRITTEN = {
    "AWS": {'tags["daena.hold"]', 'tags_all["daena.hold"]', "version_stages"},
    "Azure": {"tags", "expiration_date"},
    "Google Cloud": {"annotations", "version_aliases", "labels", "enabled"},
}


def blocks(title: str) -> list[str]:
    """Return the blocks of one cloud's section."""
    section = re.search(rf"^## {title}$(.*?)^## ", GUIDE, re.MULTILINE | re.DOTALL)
    assert section is not None
    return re.findall(r"^```hcl\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("title", "provider"), SECTIONS.items(), ids=SECTIONS)
def test_the_blocks_are_valid(tmp_path: Path, title: str, provider: str) -> None:
    """Put together, a section's blocks are a configuration that Terraform takes."""
    folder = tmp_path / "guide"
    folder.mkdir()
    source = f'{{ source = "hashicorp/{provider}" }}'
    needs = f"terraform {{\n  required_providers {{\n    {provider} = {source}\n  }}\n}}\n"
    # A mirror may not know which arguments are write-only, and only those take such a value.
    given = [block.replace("  ephemeral = true\n", "") for block in blocks(title)]
    (folder / "main.tf").write_text("\n".join([needs, *given]))
    tree = Tree(tmp_path)
    tree.init("guide")
    found = tree.run("guide", "validate", "-no-color")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("title", SECTIONS)
def test_what_a_rotation_writes_is_ignored(title: str) -> None:
    """The section's blocks let Terraform ignore all of it."""
    ignored = {
        name.strip()
        for block in blocks(title)
        for names in re.findall(r"ignore_changes = \[(.*)\]$", block, re.MULTILINE)
        for name in names.split(",")
    }
    assert ignored >= WRITTEN[title]


@pytest.mark.parametrize("title", SECTIONS)
def test_no_variable_with_a_value_comes_into_a_plan(title: str) -> None:
    """An ephemeral variable stands neither in a state nor in a saved plan."""
    declared = [
        variable
        for block in blocks(title)
        for variable in re.findall(r'^variable "\w+" \{$(.*?)^\}$', block, re.MULTILINE | re.DOTALL)
    ]
    assert declared
    assert all("ephemeral = true" in variable for variable in declared)
