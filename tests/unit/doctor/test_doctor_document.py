"""The guide names every check, and no other."""

import re
from pathlib import Path

from tests.unit.doctor.worlds import Patient

TEXT = (Path(__file__).parents[3] / "docs" / "DOCTOR.md").read_text()
#: What the tables name, in the column of the checks.
ROW = re.compile(r"^\| (`.*?) \|", re.MULTILINE)
NAMED = {name for row in ROW.findall(TEXT) for name in row.split("`")[1::2]}
#: Only where something is not in order, or set up otherwise.
RARE = {"store", "key …", "permission on the folder: others"}


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
