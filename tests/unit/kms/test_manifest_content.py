"""What may stand in a manifest: plain bounded data, a name, and never the value itself."""

import base64
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from daena_kms.errors import ConfigError
from daena_kms.kms.manifests.content import (
    MAX_METADATA,
    check_metadata,
    check_operator,
    refuse_in_id,
    refuse_material,
)
from hypothesis import given
from hypothesis import strategies as st

GOOD: list[Any] = [
    None,
    {},
    {"ticket": "OPS-7", "n": 1, "f": 0.5, "b": True, "z": None, "l": [1, {"a": []}]},
    {"ä": "\N{SNOWMAN}"},
    {"": ""},
    {"x": "y" * (MAX_METADATA - 9)},
]


@pytest.mark.parametrize("metadata", GOOD, ids=range(len(GOOD)))
def test_plain_data_is_kept_as_it_is(metadata: Any) -> None:
    """And copied: what the caller does with it later changes nothing."""
    found = check_metadata(metadata, "some-key")
    assert found == (metadata or {})
    assert found is not metadata


def _loop() -> dict[str, object]:
    found: dict[str, object] = {}
    found["self"] = found
    return found


def _deep() -> dict[str, object]:
    found: dict[str, object] = {}
    for _ in range(100_000):
        found = {"a": found}
    return found


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "a list": (lambda: ["a"], "the metadata is list, not a dict"),
    "text": (lambda: "a", "the metadata is str, not a dict"),
    "an object": (lambda: {"a": object()}, "not plain JSON"),
    "bytes": (lambda: {"a": b"b"}, "not plain JSON"),
    "NaN": (lambda: {"a": float("nan")}, "not plain JSON"),
    "infinity": (lambda: {"a": float("inf")}, "not plain JSON"),
    "a number as a name": (lambda: {1: "a"}, "not plain JSON"),
    "mixed names": (lambda: {1: "a", "b": "c"}, "not plain JSON"),
    "a tuple": (lambda: {"a": (1, 2)}, "not plain JSON"),
    "a loop": (_loop, "not plain JSON"),
    "a well": (_deep, "not plain JSON"),
    "too long": (lambda: {"x": "y" * MAX_METADATA}, f"has {MAX_METADATA + 9} bytes as JSON"),
    "too long as JSON": (lambda: {"x": "ä" * 1_000}, "has 6009 bytes as JSON"),
}


@pytest.mark.parametrize("how", BAD)
def test_other_metadata_is_refused(how: str) -> None:
    """With the key and the form."""
    make, words = BAD[how]
    with pytest.raises(ConfigError, match=f"^key 'some-key': .*{words}.*of at most 4096 bytes"):
        check_metadata(make(), "some-key")


@pytest.mark.parametrize("operator", ["alice", "ci/deploy (run 7)", "Łukasz", "x" * 200])
def test_an_operator(operator: str) -> None:
    """Any printable name."""
    assert check_operator(operator) == operator


@pytest.mark.parametrize("operator", ["", "a\nb", "a\x00", "x" * 201, "\udcff"])
def test_no_operator(operator: str) -> None:
    """A line break would forge a line in a log."""
    with pytest.raises(ConfigError, match="Set DAENA_OPERATOR to a name of 1 to 200 printable"):
        check_operator(operator)


def _forms(value: str) -> dict[str, object]:
    raw = value.encode()
    return {
        "plain": value,
        "inside": f"was {value}, is secret",
        "name": {value: 1},
        "deep": {"a": [{"b": [value]}]},
        "base64": base64.b64encode(raw).decode(),
        "base64 in text": f"Basic {base64.b64encode(b'user:' + raw).decode()}",
        "url base64": base64.urlsafe_b64encode(raw).decode(),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "url": quote(value, safe=""),
        "json": json.dumps(value),
        "json in json": json.dumps({"a": json.dumps({"b": value})}),
    }


@pytest.mark.parametrize("form", _forms("x"))
def test_the_value_in_the_metadata_is_refused(form: str) -> None:
    """In any usual form, anywhere; the message does not show it."""
    value = secrets.token_urlsafe(24) + "/+é"
    content = {"note": _forms(value)[form]}
    with pytest.raises(ConfigError, match="its metadata contains the value itself") as caught:
        refuse_material(value, "some-key", metadata=content)
    assert value not in str(caught.value)
    refuse_material(secrets.token_urlsafe(24), "some-key", metadata=content)


@pytest.mark.parametrize(
    "escape",
    [
        lambda value: quote(value, safe="").lower(),
        lambda value: f"q={quote_plus(value)}&r=1",
        lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    ],
)
def test_every_url_form_of_short_words_is_refused(escape: Callable[[str], str]) -> None:
    """Escaped in small letters, as a form sends it, or every character of it."""
    with pytest.raises(ConfigError, match="its metadata contains the value itself"):
        refuse_material(
            "a few words/ +é ", "some-key", metadata={"note": escape("a few words/ +é ")}
        )


@pytest.mark.parametrize(
    "encode",
    [
        lambda raw: base64.encodebytes(raw).decode(),
        lambda raw: base64.encodebytes(raw).decode().replace("\n", "\r\n    "),
        lambda raw: quote(base64.b64encode(raw), safe=""),
        lambda raw: raw.hex(" "),
        lambda raw: raw.hex(":").upper(),
    ],
)
def test_gaps_in_an_encoded_value_hide_nothing(encode: Callable[[bytes], str]) -> None:
    """As command-line tools print it; a gap in plain words is one."""
    value = "a few words, and /+ more of them, " * 3
    with pytest.raises(ConfigError, match="its metadata contains the value itself"):
        refuse_material(value, "some-key", metadata={"note": f"x {encode(value.encode())}"})
    refuse_material("newvalue", "some-key", metadata={"note": "a new value"})


def test_short_values_count_only_as_a_whole() -> None:
    """A password of three letters stands in many an innocent word."""
    refuse_material("new", "some-key", metadata={"renewed": "a new one", "n": [1, "news"]})
    for metadata in ({"a": "new"}, {"new": 1}, {"a": ["new"]}):
        with pytest.raises(ConfigError, match="its metadata contains the value"):
            refuse_material("new", "some-key", metadata=metadata)
    with pytest.raises(ConfigError, match="its metadata contains the value"):
        refuse_material("4711", "some-key", metadata={"pin": 4711})


def test_the_value_in_other_places() -> None:
    """As the operator, or in the key's id, which is then not shown."""
    with pytest.raises(ConfigError, match="its operator contains the value itself"):
        refuse_material("hunter2hunter2", "some-key", metadata={}, operator="hunter2hunter2")
    with pytest.raises(ConfigError, match=r"^the key id contains the value itself") as caught:
        refuse_in_id("hunter2hunter2", "key-hunter2hunter2")
    assert "hunter2" not in str(caught.value)
    refuse_in_id("key", "some-key")


@given(st.text(min_size=8, max_size=40), st.text(max_size=10), st.text(max_size=10))
def test_any_text_is_found_in_any_text(value: str, before: str, after: str) -> None:
    """Whatever characters a value has."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    with pytest.raises(ConfigError):
        refuse_material(value, "some-key", metadata={"note": before + value + after})
