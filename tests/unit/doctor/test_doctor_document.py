"""The guide names every check, and no other."""

import re
from pathlib import Path

from botocore.model import ListShape, StructureShape
from botocore.session import Session

from tests.unit.doctor.worlds import Patient

TEXT = (Path(__file__).parents[3] / "docs" / "DOCTOR.md").read_text()
#: What the tables name, in the column of the checks.
ROW = re.compile(r"^\| (`.*?) \|", re.MULTILINE)
NAMED = {name for row in ROW.findall(TEXT) for name in row.split("`")[1::2]}
#: Only where something is not in order, or set up otherwise.
RARE = {"store", "key …", "permission on the folder: others", "function URL", "settings: home"}


def test_every_check_is_in_the_guide(anyone: Patient) -> None:
    """By its whole name, in a table."""
    found = set(anyone.checks())
    assert found - NAMED == set()


def test_every_check_of_the_guide_is_there(anyone: Patient) -> None:
    """What a store's own table names is what is looked at there."""
    title = {"local": "Local", "aws": "AWS", "azure": "Azure", "gcp": "Google Cloud"}
    section = TEXT.partition(f"## {title[anyone.provider]}\n")[2].partition("\n## ")[0]
    listed = {name for row in ROW.findall(section) for name in row.split("`")[1::2]} - RARE
    assert listed - set(anyone.checks()) == set()


def test_iam_s_simulator_takes_the_guide_s_command() -> None:
    """Its options are members of the SDK's own description of that operation."""
    (block,) = re.findall(r"\$ aws iam (simulate-principal-policy .*?)```", TEXT, re.DOTALL)
    words = block.replace("\\\n", " ").split()
    model = Session().get_service_model("iam").operation_model("SimulatePrincipalPolicy")
    assert model.input_shape is not None
    members = model.input_shape.members
    options = {word[2:].replace("-", "").lower() for word in words if word.startswith("--")}
    assert len(options) == 4
    assert options <= {name.lower() for name in members}
    (entry,) = (word for word in words if word.startswith("ContextKeyName="))
    entries = members["ContextEntries"]
    assert isinstance(entries, ListShape)
    known = entries.member
    assert isinstance(known, StructureShape)
    assert {part.partition("=")[0] for part in entry.split(",")} == set(known.members)
