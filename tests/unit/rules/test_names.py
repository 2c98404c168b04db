"""Key ids, values, and version ids that tell their own age and origin."""

import secrets
from datetime import UTC, datetime, timedelta, timezone

import pytest
from daena_kms.errors import ConfigError, DaenaKMSError, InvalidKeyId
from daena_kms.rules.names import (
    MAX_VALUE_BYTES,
    check_is_text,
    check_key_id,
    check_material,
    mark,
    new_version_id,
    parse_version_id,
)
from hypothesis import given
from hypothesis import strategies as st

FORM = (
    "Use 1 to 100 lower-case letters, digits and hyphens, "
    "beginning with a letter and not ending with a hyphen"
)
AT = datetime(2026, 11, 24, 15, 50, 18, tzinfo=UTC)


@pytest.mark.parametrize("key_id", ["a", "daena-key", "k2", "a--b", "a" * 100, "x-9"])
def test_portable_ids_are_taken(key_id: str) -> None:
    """An id that every store accepts comes back as it is."""
    assert check_key_id(key_id) == key_id


@pytest.mark.parametrize(
    ("key_id", "shown"),
    [
        ("", "''"),
        ("Key", "'Key'"),
        ("a/b", "'a/b'"),
        ("../etc", "'../etc'"),
        ("schlüssel", "'schlüssel'"),
        ("k\x00", r"'k\x00'"),
        ("k\n", r"'k\n'"),
        ("k\x1b[31m", r"'k\x1b[31m'"),
        ("\ud800", r"'\ud800'"),
        ("a-", "'a-'"),
        ("-a", "'-a'"),
        ("9a", "'9a'"),
        ("a_b", "'a_b'"),
        ("a b", "'a b'"),
        ("\uff41", "'\uff41'"),
        ("a\u0661", "'a\u0661'"),
        ("a" * 101, f"'{'a' * 39}… (101 characters)"),
        ("a" * 1_000_000, f"'{'a' * 39}… (1000000 characters)"),
        (None, "NoneType"),
        (b"key", "bytes"),
        (7, "int"),
    ],
)
def test_other_ids_are_refused(key_id: object, shown: str) -> None:
    """An id that some store refuses is refused with what is allowed, and shown harmlessly."""
    with pytest.raises(InvalidKeyId) as refused:
        check_key_id(key_id)
    assert str(refused.value) == f"{shown} is not a key id. {FORM}"
    assert str(refused.value).isprintable()


@given(st.text(max_size=120))
def test_no_text_breaks_the_check_of_ids(text: str) -> None:
    """Arbitrary text is an id that comes back, or our error."""
    try:
        assert check_key_id(text) == text
    except InvalidKeyId as refused:
        assert refused.todo == FORM  # noqa: PT017 - most texts are refused, and some are not


@pytest.mark.parametrize(("unit", "size"), [("a", 1), ("é", 2), ("漢", 3), ("🔑", 4)])
def test_a_value_is_measured_in_bytes(unit: str, size: int) -> None:
    """25,000 bytes of UTF-8 fit, whatever the characters, and one character more does not."""
    largest = unit * (MAX_VALUE_BYTES // size)
    taken = check_material(largest, "k") == largest
    assert taken
    with pytest.raises(ConfigError, match=r"^key 'k': the value has \d+ bytes\. Store 1 to 25000"):
        check_material(largest + unit, "k")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("", "the value has 0 bytes"),
        ("\ud800", "the value has lone surrogates, so it is not UTF-8 text"),
        (secrets.token_bytes(8), "the value is bytes, not text"),
        (None, "the value is NoneType, not text"),
    ],
    ids=["empty", "surrogate", "bytes", "none"],
)
def test_what_no_store_can_hold_is_refused(value: object, what: str) -> None:
    """What is not text, or not one byte long, is refused by key, without the value."""
    with pytest.raises(ConfigError) as refused:
        check_material(value, "k")
    assert (refused.value.key_id, refused.value.what) == ("k", what)
    assert refused.value.todo


def test_a_refused_value_is_not_quoted() -> None:
    """Neither the error nor its causes hold the value that is refused."""
    value = secrets.token_hex(MAX_VALUE_BYTES)
    for refusable in (value, "\ud800" + value[:100]):
        with pytest.raises(ConfigError) as refused:
            check_material(refusable, "k")
        quoted = refusable[1:60] in repr(refused.value)
        assert not quoted
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


# A version id holds a year of four digits.
TIMES = st.datetimes(
    min_value=datetime(2000, 1, 2),
    max_value=datetime(8999, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
)


@given(base_id=st.none() | st.text(st.characters(codec="utf-8"), max_size=70), at=TIMES)
def test_a_version_id_tells_its_age_and_its_base(base_id: str | None, at: datetime) -> None:
    """The second and the mark of the base that an id was made with are read from it."""
    version_id = new_version_id(base_id, at)
    parsed = parse_version_id(version_id)
    assert parsed is not None
    assert parsed.made == at.replace(microsecond=0)
    assert parsed.base_mark == mark(base_id)
    assert 32 <= len(version_id) <= 64


def test_version_ids_never_repeat() -> None:
    """Two ids made from one base in one second differ."""
    assert len({new_version_id("b", AT) for _ in range(500)}) == 500


def test_the_first_version_has_the_mark_of_no_base() -> None:
    """No base, an empty base and the word for none have one mark; other bases have their own."""
    assert mark(None) == mark("") == mark("none")
    assert mark("a") != mark("b") != mark(None)
    assert len(mark("a")) == 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "previous",
        "3f0c0de5-3b5f-4d3c-9a4e-5d1c1a1e6a11",
        new_version_id(None, AT).upper(),
        new_version_id(None, AT) + "0",
        new_version_id(None, AT) + "\n",
        new_version_id(None, AT).replace("2026112", "2026132"),
        new_version_id(None, AT).replace("T15", "T25"),
        new_version_id(None, AT).replace("daena-2026", "daena-0000"),
        new_version_id(None, AT).replace("2026", "\u0662\u0660\u0662\u0666"),
    ],
    ids=str.split("empty word uuid upper longer newline month hour year digits"),
)
def test_other_ids_say_nothing(text: str) -> None:
    """What is not made here, or names no day, is nobody's age."""
    assert parse_version_id(text) is None


@given(st.text() | st.from_regex(r"daena-\d{8}T\d{6}Z-[0-9a-f]{10}-[0-9a-f]{16}", fullmatch=True))
def test_no_text_breaks_the_parser_of_version_ids(text: str) -> None:
    """Arbitrary text is an id of ours, or it is not; neither is an error."""
    parsed = parse_version_id(text)
    assert parsed is None or parsed.made.tzinfo is not None


def test_errors_say_what_which_and_what_next() -> None:
    """An error's text is the key, the finding and the next step, as far as they are known."""
    assert str(DaenaKMSError("it broke")) == "it broke"
    assert str(DaenaKMSError("it broke", key_id="k")) == "key 'k': it broke"
    assert (
        str(DaenaKMSError("it broke", key_id="k", todo="Mend it")) == "key 'k': it broke. Mend it"
    )


def test_a_value_that_json_carries_and_utf8_does_not_is_refused() -> None:
    """Lone surrogates have no bytes; the error holds nothing of the value."""
    value = f"{secrets.token_hex()}\udc80"
    with pytest.raises(ConfigError, match="lone surrogates") as refused:
        check_is_text(value, "key")
    assert refused.value.__context__ is None
    assert value not in str(refused.value)
    assert check_is_text("\ufeff\0 x\r\n", "key") == "\ufeff\0 x\r\n"
