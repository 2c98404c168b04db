"""What is said for whoever is on call, and of threats, is about what there is."""

import re
from datetime import UTC, datetime

import pytest
from daena_kms.notify.events import TYPES
from daena_kms.rules.summary import Summary

from tests.docs.guide import ROOT

OPERATIONS = (ROOT / "docs" / "OPERATIONS.md").read_text()
THREATS = (ROOT / "docs" / "THREAT_MODEL.md").read_text()
#: What only tells how much was done, and calls nobody.
CALM = {"rotated", "finished", "retired", "destroyed", "released", "revoked", "notified", "keys"}
SHOWN = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", THREATS)))


def test_every_event_has_a_row() -> None:
    """Neither one more nor one less."""
    assert set(re.findall(r"`(io\.daena-kms\.[a-z.-]+)`", OPERATIONS)) == set(TYPES)


def test_every_count_that_calls_somebody_has_a_row() -> None:
    """A new count is either calm or has something to do."""
    counts = set(Summary(None, datetime.now(UTC)).counts())
    rows = set(re.findall(r"^\| `([a-z]+)` ", OPERATIONS, flags=re.MULTILINE))
    assert counts - CALM <= rows
    # Counted where there is an endpoint.
    assert rows <= counts | {"undelivered"}


@pytest.mark.parametrize("name", SHOWN)
def test_every_test_that_a_threat_names_exists(name: str) -> None:
    """The file, and the function in it where one is named."""
    path, _, function = name.partition("::")
    text = (ROOT / path).read_text()
    assert f"def {function or 'test_'}" in text


def test_every_threat_names_what_shows_its_defence() -> None:
    """No row without a test."""
    table = THREATS.split("\n## Threats\n")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    assert [row for row in rows if "`tests/" not in row.split(" | ")[-1]] == []
