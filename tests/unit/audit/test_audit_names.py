"""The names of the log's objects: the hour, the run and the number, and nothing else."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from daena_kms.audit.records import (
    CLOSING_SEQ,
    digest,
    new_run_id,
    object_name,
    run_prefix,
    split_name,
)
from hypothesis import given
from hypothesis import strategies as st

# Without a zone, as hypothesis wants its bounds; no run is of before 2000, none of 9999.
FIRST, LAST = datetime(2000, 1, 1), datetime(9000, 1, 1)
TIMES = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


@given(TIMES, st.integers(0, CLOSING_SEQ))
def test_names_read_back(began: datetime, seq: int) -> None:
    """A name of ours says its run and number; the folder is the hour in UTC."""
    run = new_run_id()
    prefix = run_prefix(run, began)
    assert split_name(object_name(prefix, seq)) == (prefix, run, seq)
    assert run_prefix(run, began.astimezone(timezone(timedelta(hours=1)))) == prefix


@pytest.mark.parametrize(
    "name",
    [
        "",
        "log/",
        "log/2026/03/01/12/" + "0" * 32,
        "log/2026/03/01/12/" + "0" * 31 + "/000000.json",
        "log/2026/03/01/12/" + "A" * 32 + "/000000.json",
        "log/2026/03/01/12/" + "0" * 32 + "/00000.json",
        "log/2026/03/01/12/" + "0" * 32 + "/0000000.json",
        "log/2026/03/01/12/" + "0" * 32 + "/000000.json\n",
        "log/2026/03/01/12/" + "0" * 32 + "/000000.txt",
        "log/2026/03/01/12/x/" + "0" * 32 + "/000000.json",
        "log/２０２６/03/01/12/" + "0" * 32 + "/000000.json",  # noqa: RUF001 - other digits
        "old/2026/03/01/12/" + "0" * 32 + "/000000.json",
    ],
)
def test_names_of_others(name: str) -> None:
    """What no run gives an object is no name."""
    assert split_name(name) is None


def test_run_ids_and_hashes() -> None:
    """A run id is 128 bits, never twice the same; a hash names its function."""
    ids = {new_run_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(bytes.fromhex(run)) == 16 for run in ids)
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
