"""Terraform's own judgement of the module for Google Cloud and of its examples."""

import pytest

from tests.infra.deployed import Tree, folders


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the modules."""
    return Tree.copied(tmp_path_factory.mktemp("terraform") / "tree")


@pytest.mark.parametrize("folder", folders("gcp"))
def test_it_is_valid_and_its_tests_pass(tree: Tree, folder: str) -> None:
    """Init, validate and test pass without a warning."""
    tree.check(folder)
