"""The modules' tables say what the modules have, and no secret has a way into a state."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.deployed import CLOUDS, INFRA, ROOT, TREE, folders, program

DOCUMENT = INFRA / "document.py"
_spec = importlib.util.spec_from_file_location("document", DOCUMENT)
assert _spec is not None
assert _spec.loader is not None
document = importlib.util.module_from_spec(_spec)
sys.modules["document"] = document
_spec.loader.exec_module(document)

MODULES = [TREE / cloud for cloud in CLOUDS]
FOLDERS = [TREE / folder for cloud in CLOUDS for folder in folders(cloud)]
#: What reads a value into a state, or makes one in it.
_VALUES = re.compile(
    r'"(random_password|tls_private_key|aws_secretsmanager_secret_version|aws_iam_access_key|'
    r"azurerm_key_vault_secret|google_secret_manager_secret_version|google_service_account_key)"
)
_VARIABLE = re.compile(r'^variable "(\w+)" \{$(.*?)^\}$', re.MULTILINE | re.DOTALL)
_KEYS = re.compile(r"access_key|connection_string|instrumentation_key|site_credential|shared_key")


def _name(folder: Path) -> str:
    return str(folder.relative_to(TREE))


def test_the_documents_are_up_to_date() -> None:
    """`infra/document.py` would change nothing."""
    found = subprocess.run(
        [sys.executable, DOCUMENT, "--check"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, ""), "run infra/document.py"


def test_what_is_out_of_date_is_named_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable that the table lacks is found, and added; what people wrote stays."""
    module = tmp_path / "aws"
    shutil.copytree(TREE / "aws", module)
    added = 'variable "colour" {\n  description = "Its colour."\n  type        = string\n}\n'
    (module / "more.tf").write_text(added)
    monkeypatch.setattr(document, "TREE", tmp_path)
    before = (module / "README.md").read_text()
    assert document.main(["--check"]) == 1
    assert "README.md is out of date" in capsys.readouterr().out
    assert (module / "README.md").read_text() == before
    assert document.main([]) == 0
    after = (module / "README.md").read_text()
    assert "| `colour` | Its colour. | `string` | required |" in after
    assert after.partition(document.MARK)[0] == before.partition(document.MARK)[0]
    assert document.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("lines", "missing"),
    [("  type = string\n", "description"), ('  description = "It."\n', "type")],
)
def test_a_variable_without_a_word_is_refused(tmp_path: Path, lines: str, missing: str) -> None:
    """A variable needs a description and a type."""
    (tmp_path / "main.tf").write_text(f'variable "colour" {{\n{lines}}}\n')
    with pytest.raises(ValueError, match=f"variable colour has no {missing}"):
        document.tables(tmp_path)


def test_a_readme_without_the_mark_is_refused(tmp_path: Path) -> None:
    """Nothing that people wrote is overwritten."""
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.raises(ValueError, match="after which the tables go"):
        document.document(tmp_path / "README.md")


@pytest.mark.parametrize("folder", FOLDERS, ids=_name)
def test_every_input_and_output_is_described(folder: Path) -> None:
    """Every variable has a type and a description, every output a description."""
    found = document.blocks(folder)
    assert {block.kind for block in found} >= {"output"}
    for block in found:
        if block.kind == "variable":
            document.row_of_input(block)
        elif block.kind == "output":
            document.text(block)


@pytest.mark.parametrize("folder", MODULES, ids=_name)
def test_what_can_be_wrong_is_validated(folder: Path) -> None:
    """Every input of a module but a switch has a validation, and every validation is tried."""
    tests = "".join(path.read_text() for path in folder.glob("tests/*.tftest.hcl"))
    tried = {
        name
        for expected in re.findall(r"expect_failures = \[(.*?)\]", tests, re.DOTALL)
        for name in re.findall(r"\bvar\.(\w+)", expected)
    }
    for path in folder.glob("variables*.tf"):
        for name, body in _VARIABLE.findall(path.read_text()):
            if re.search(r"^  type += bool$", body, re.MULTILINE) is None:
                assert "\n  validation {" in body, f"{name} is not validated"
                assert name in tried, f"no test shows what {name} refuses"


@pytest.mark.parametrize("folder", FOLDERS, ids=_name)
def test_no_value_can_reach_a_state_or_an_output(folder: Path) -> None:
    """Nothing reads or makes a secret's value, and no output gives a key."""
    source = "".join(path.read_text() for path in folder.glob("*.tf"))
    assert _VALUES.search(source) is None
    outputs = re.findall(r'^output "\w+" \{$(.*?)^\}$', source, re.MULTILINE | re.DOTALL)
    assert outputs
    assert [body for body in outputs if _KEYS.search(body)] == []


def test_the_files_are_in_terraform_s_own_format() -> None:
    """`terraform fmt` would change nothing."""
    found = subprocess.run(
        [program(), "fmt", "-check", "-diff", "-recursive", TREE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("folder", FOLDERS, ids=_name)
def test_nothing_of_terraform_s_own_is_left_in_the_tree(folder: Path) -> None:
    """No state, no provider and no lock file of one machine is beside the source."""
    assert [
        p for p in folder.rglob("*") if p.name.startswith((".terraform", "terraform.tfs"))
    ] == []


@pytest.mark.parametrize("cloud", ["azure", "gcp"])
def test_every_alarm_is_documented(cloud: str) -> None:
    """docs/ALARMS.md says of each alarm what to do."""
    title = {"azure": "Azure", "gcp": "Google Cloud"}[cloud]
    guide = (ROOT / "docs" / "ALARMS.md").read_text()
    section = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", guide, re.MULTILINE | re.DOTALL)
    assert section is not None
    tests = (TREE / cloud / "tests" / "watching.tftest.hcl").read_text()
    expected = re.search(r"alarm_names == tolist\(\[(.*?)\]\)", tests, re.DOTALL)
    assert expected is not None
    names = re.findall(r'"daena-kms-([a-z-]+)"', expected[1])
    assert len(names) >= 7
    assert [name for name in names if f"### {name}\n" not in section[1]] == []
