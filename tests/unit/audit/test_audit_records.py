"""The form of records: one form for one content, and nonsense refused in one way."""

import json
from contextlib import suppress
from typing import Any

import pytest
from daena_kms.audit.records import (
    beyond,
    decode,
    encode,
)
from daena_kms.errors import AuditUnavailable
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.logs import action, done

WHO: dict[str, Any] = {
    "v": 1,
    "run": "0" * 32,
    "seq": 0,
    "time": "2026-03-01T12:00:00Z",
    "prev_hash": None,
    "provider": "local",
    "trigger": "schedule",
    "principal": "someone",
    "reason": None,
}
RUN = f"log/2026/03/01/12/{'0' * 32}/"
RECORDS: dict[str, dict[str, Any]] = {
    "intent": {**WHO, "type": "intent", "actions": [action()]},
    "outcome": {**WHO, "type": "outcome", "results": [done()]},
    "recovery": {**WHO, "type": "recovery", "runs": {RUN: ["sha256:0"]}, "results": [done()]},
    "closing": {
        **WHO,
        "type": "closing",
        "objects": ["sha256:0"],
        "saw": {f"{RUN}999999.json": "sha256:0"},
        "open": {RUN: ["sha256:0"]},
        "unresolved": [{**action(), "at": "2026-03-01T12:00:00Z"}],
        "counts": {"rotated": 1},
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_reads_back(kind: str) -> None:
    """What was encoded is decoded, and encodes to the same bytes."""
    data = encode(RECORDS[kind])
    assert decode(data, "x") == RECORDS[kind]
    assert encode(decode(data, "x")) == data


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_has_one_form(kind: str) -> None:
    """The order in which a record was put together does not show: sorted, one line, ASCII."""
    record = {**RECORDS[kind], "reason": "wegen Größe \u2028 \x00 🔑"}
    backwards = dict(reversed(record.items()))
    data = encode(record)
    assert encode(backwards) == data
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert data.endswith(b"}\n")
    assert list(json.loads(data)) == sorted(record)
    assert decode(data, "x") == record


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_content_has_one_form(content: dict[str, Any]) -> None:
    """Encoding is a function of the content, for any of it."""
    data = encode(content)
    assert data.isascii()
    assert encode(json.loads(data)) == data


@pytest.mark.parametrize("name", [*WHO, "type"])
@pytest.mark.parametrize("kind", RECORDS)
def test_what_is_missing_is_no_record(kind: str, name: str) -> None:
    """A record lacks no field; one that says nothing is null. Readers take each for granted."""
    record = {n: value for n, value in RECORDS[kind].items() if n != name}
    with pytest.raises(AuditUnavailable, match="the audit object x is not a record"):
        decode(encode(record), "x")


JUNK: list[Any] = [None, 1, 1.5, "text", [1], [None], [[]], [{}], {"a": 1}, {"a": [1]}, {"a": [[]]}]
LISTS = ("actions", "results", "unresolved", "runs", "open", "saw", "objects")


def refused(record: dict[str, Any]) -> bool:
    """Say whether a record is refused; any other error is the test's failure."""
    try:
        decode(encode(record), "x")
    except AuditUnavailable:
        return True
    return False


@pytest.mark.parametrize("kind", RECORDS)
def test_a_field_of_another_type_is_no_record(kind: str) -> None:
    """Each field holds what its type of record holds, down to the hashes; all else is refused."""
    free = {
        "reason": [None, "text"],
        "prev_hash": [None, "text"],
        "counts": [j for j in JUNK if isinstance(j, dict)],
    }
    for name, good in RECORDS[kind].items():
        taken = [junk for junk in JUNK if not refused({**RECORDS[kind], name: junk})]
        words = ["text"] if isinstance(good, str) and name not in {"time", "type"} else []
        number = [1] if isinstance(good, int) else []
        assert taken == free.get(name, words + number), name


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("kind", RECORDS)
def test_a_field_of_another_type_of_record_is_no_crash(kind: str, name: str) -> None:
    """A field that a record of this type does not have is taken or refused like any nonsense."""
    for junk in JUNK:
        refused({**RECORDS[kind], name: junk})


ENTRIES = {
    "intent": ("actions", action()),
    "outcome": ("results", done()),
    "recovery": ("results", done()),
    "closing": ("unresolved", {**action(), "at": "2026-03-01T12:00:00Z"}),
}


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize(
    "field",
    ["key", "kind", "base", "version", "new_version", "versions", "of_run", "provider"],
)
def test_an_entry_of_another_type_is_no_record(kind: str, field: str) -> None:
    """Keys, kinds and versions are text (``versions`` a list of it) wherever they stand.

    Readers put them into sets and hash them, so nothing else may get past here.
    """
    name, entry = ENTRIES[kind]
    for junk in (1, True, {}, [1], {"a": 1}, ["x", []]):
        assert refused({**RECORDS[kind], name: [{**entry, field: junk}]}), junk


@pytest.mark.parametrize(
    "time", ["", "now", "2026-03-01", "2026-03-01T12:00:00", "12:00", "9" * 99]
)
@pytest.mark.parametrize("where", ["time", "at"])
def test_a_time_without_its_zone_is_none(time: str, where: str) -> None:
    """Times are compared with each other, so each has a zone."""
    entry = {**action(), "at": time}
    changes = {"time": time} if where == "time" else {"unresolved": [entry]}
    with pytest.raises(AuditUnavailable):
        decode(encode({**RECORDS["closing"], **changes}), "x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"1e999",
        b"NaN",
        b"\xff\xfe",
        b"\x00" * 100,
        b"{" * 10,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 5000,
        b'{"v":1,"type":"intent"}',
        encode(RECORDS["intent"])[:-3],
        encode(RECORDS["intent"]) * 2,
        encode({**RECORDS["intent"], "v": 2}),
        encode({**RECORDS["intent"], "type": "other"}),
        encode({**RECORDS["intent"], "reason": "x" * 1_000_000, "v": 0}),
    ],
    ids=lambda data: f"{data[:12]!r}-{len(data)}",
)
def test_what_is_no_record(data: bytes) -> None:
    """Malformed, cut, nested, huge or of another version: refused in one way, with what to do."""
    with pytest.raises(AuditUnavailable, match="the audit object log/x is not a record") as caught:
        decode(data, "log/x")
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_refused(data: bytes) -> None:
    """No bytes lead to any other error."""
    with pytest.raises(AuditUnavailable):
        decode(data, "x")


@given(st.sampled_from(sorted(RECORDS)), st.sampled_from(sorted(RECORDS["closing"])), JSON)
def test_any_content_is_a_record_or_refused(kind: str, name: str, content: object) -> None:
    """A field with any content leads to a record or to the one error."""
    data = encode({**RECORDS[kind], name: content})
    with suppress(AuditUnavailable):
        assert encode(decode(data, "x")) == data


@pytest.mark.parametrize(
    ("compromised", "good"),
    [(True, True), (False, True), ("true", False), (1, False), (None, False)],
)
def test_what_is_compromised_is_yes_or_no(compromised: object, *, good: bool) -> None:
    """An action says so by true, and never by a word that might be taken for it."""
    record = {**RECORDS["intent"], "actions": [{**action(), "compromised": compromised}]}
    if good:
        assert decode(encode(record), "x") == record
    else:
        with pytest.raises(AuditUnavailable):
            decode(encode(record), "x")


def test_a_long_provider_is_more_than_a_run_writes() -> None:
    """It stands in all that later runs pass on."""
    record = RECORDS["intent"]
    assert beyond({**record, "provider": "p" * 20}) is None
    assert beyond({**record, "provider": "p" * 21}) == "a provider of 21 characters"
