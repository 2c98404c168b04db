"""Versions that a store keeps by their ids alone, compared with the log."""

from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.audit.compare import CONFIRMED, OUT_OF_BAND, Comparison
from daena_kms.rules.durations import format_time

from tests.unit.keys import DAY, NOW, previous, tagged, version


@pytest.mark.parametrize(
    ("kind", "made", "unlabelled", "base_mark", "status"),
    [
        ("adopt", -DAY, True, None, CONFIRMED),
        ("enrol", -DAY, True, None, CONFIRMED),
        # Later, by its name, or of ours: the adoption does not explain it.
        ("adopt", timedelta(seconds=1), True, None, OUT_OF_BAND),
        ("adopt", -DAY, False, None, OUT_OF_BAND),
        ("adopt", -DAY, True, "0123456789", OUT_OF_BAND),
        ("rotate", -DAY, True, None, OUT_OF_BAND),
    ],
)
def test_what_an_adoption_took_over(
    kind: str, made: timedelta, base_mark: str | None, status: str, *, unlabelled: bool
) -> None:
    """What others made before it, which the record of that time does not name."""
    adopted = NOW - 10 * DAY
    older = replace(
        previous(DAY),
        id="e" * 36,
        created=adopted + made,
        base_mark=base_mark,
        unlabelled=unlabelled,
    )
    current = version(DAY)
    comparison = Comparison([tagged({}, current, older)])
    result = {"key": "k", "kind": kind, "result": "done", "versions": [current.id]}
    comparison.add({"time": format_time(adopted), "results": [result]})
    comparison.end_run()
    found = {finding.version: finding.status for finding in comparison.findings()}
    assert found == {current.id: CONFIRMED, older.id: status}
