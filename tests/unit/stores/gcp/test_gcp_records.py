"""The annotations that hold a key's history and claim: written, read, and broken by others."""

import json
from datetime import timedelta

import pytest
from daena_kms.errors import ConfigError
from daena_kms.rules.plan import Kind
from daena_kms.stores.gcp.state import (
    CLAIM,
    MAX_VERSIONS,
    VERSIONS,
    Claim,
    Record,
    read_claim,
    read_records,
    to_key,
    write_claim,
    write_records,
)

from tests.unit.keys import DAY, HOUR, MINUTE, NOW
from tests.unit.stores.gcp.gcp_messages import MADE, planned, secret

CLAIMED = Claim("0123", 2, NOW - HOUR, NOW - 45 * MINUTE)

BROKEN = [
    "",
    "x",
    "[]",
    "null",
    "7",
    '{"1": {}}',
    '{"1": []}',
    '{"1": {"at": 7}}',
    '{"1": {"at": "soon"}}',
    '{"x": {"at": "2026-01-01T00:00:00Z"}}',
    '{"-1": {"at": "2026-01-01T00:00:00Z"}}',
    '{"0": {"at": "2026-01-01T00:00:00Z"}}',
    '{"1_0": {"at": "2026-01-01T00:00:00Z"}}',
    '{"²": {"at": "2026-01-01T00:00:00Z"}}',
    '{"%s": {"at": "2026-01-01T00:00:00Z"}}' % ("1" * 5000),
    '{"1": {"at": "2026-01-01T00:00:00Z", "base": "x"}}',
    '{"1": {"at": "2026-01-01T00:00:00Z", "base": 1e999}}',
    '{"1": {"at": "2026-01-01T00:00:00Z", "base": Infinity}}',
    '{"1": {"at": "2026-01-01T00:00:00Z", "until": null}}',
    '{"1": {"at": "2026-01-01T00:00:00Z", "retired": "2026-02-30T00:00:00Z"}}',
    '{"1": {"at": "2026-01-01T00:00:00Z"',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:60])
def test_a_broken_record_is_this_keys_trouble_alone(text: str) -> None:
    """A listing goes on; the key tells what is broken, and how to mend it."""
    with pytest.raises(ConfigError, match=f"{VERSIONS} was changed.*Remove that annotation"):
        read_records({VERSIONS: text})
    key = to_key(secret(annotations={VERSIONS: text}))
    assert key.trouble == f"its annotation {VERSIONS} was changed by somebody else"
    assert planned(key) == [Kind.FAILING]
    # The current version is known by its alias all the same.
    aliased = to_key(secret(annotations={VERSIONS: text}, aliases={"current": 2}))
    assert aliased.current is not None
    assert aliased.current.id == "2"


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "7",
        "null",
        "{}",
        '{"id": "a", "highest": "x", "at": "2026-01-01T00:00:00Z"}',
        '{"id": "a", "highest": 1e999, "at": "2026-01-01T00:00:00Z"}',
        '{"id": "a", "highest": 1, "at": "2026-01-01T00:00:00Z", "until": "soon"}',
        '{"id": "a", "highest": 1, "at": 7, "until": "2026-01-01T00:00:00Z"}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_a_broken_claim(text: str) -> None:
    """It is named, with what to remove."""
    with pytest.raises(ConfigError, match=f"{CLAIM} was changed.*Remove that annotation"):
        read_claim({CLAIM: text})


def test_what_is_written_is_read() -> None:
    """Records and claims come back as they were, to the second, in the order of the numbers."""
    records = {
        "10": Record(NOW, base="9"),
        "9": Record(MADE, base="1", until=NOW, retired=NOW),
        "1": Record(MADE - DAY, until=MADE, orphan=True),
    }
    text = write_records(records)
    assert read_records({VERSIONS: text}) == records
    assert list(json.loads(text)) == ["1", "9", "10"]
    fraction = Record(NOW + timedelta(microseconds=5))
    assert read_records({VERSIONS: write_records({"1": fraction})}) == {"1": Record(NOW)}
    assert read_claim({CLAIM: write_claim(CLAIMED)}) == CLAIMED
    assert read_claim({}) is read_claim({CLAIM: ""}) is None
    assert read_records({}) == {}


def test_a_hundred_records_fit() -> None:
    """All annotations together may have 16 KiB; the policy's tags take a few hundred bytes."""
    full = Record(NOW, base="1234567890", until=NOW, retired=NOW, orphan=True)
    records = {str(1_000_000_000 + n): full for n in range(MAX_VERSIONS)}
    assert len(write_records(records).encode()) < 15 * 1024
    assert to_key(secret(records)).room == 0
