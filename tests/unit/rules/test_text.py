"""Text that other people wrote, made safe to show."""

import itertools
import sys
import unicodedata

import pytest
from daena_kms.rules.text import is_safe, shown
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("daena.managed = true", "daena.managed = true"),
        ("grün, 漢字, 🔑", "grün, 漢字, 🔑"),
        (r"C:\x1b", r"C:\x1b"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\nc\td", r"a\x0db\x0ac\x09d"),
        ("\x7f\x08", r"\x7f\x08"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("a\u200b\u200d\ufeffb", r"a\u200b\u200d\ufeffb"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("a\xa0b\u3000c", r"a\xa0b\u3000c"),
        ("\ud800", r"\ud800"),
        ("\U000e0041\U000e0100", r"\U000e0041\U000e0100"),
        ("\u3164\u115f\ufe0f\u034f\u2800", r"\u3164\u115f\ufe0f\u034f\u2800"),
        ("", ""),
    ],
)
def test_what_can_not_be_seen_is_escaped(text: str, expected: str) -> None:
    """Letters of every script stay; controls, directions, fillers and line ends do not."""
    assert shown(text) == expected
    assert is_safe(text) == (text == expected)


def test_no_character_of_these_kinds_is_left() -> None:
    """Over all of Unicode: no control, format, surrogate, private, unassigned, or line end."""
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
    found = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in kinds]
    found.remove(" ")
    # A thousand at a time: how a character is shown does not depend on its neighbours.
    for some in itertools.batched(found, 1000, strict=False):
        line = shown("".join(some))
        assert line.isascii()
        assert line.isprintable()


@given(st.text())
def test_it_is_one_line_and_stays_as_it_is(text: str) -> None:
    """Whatever the text: one printable line, which is shown a second time unchanged."""
    line = shown(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
    assert shown(line) == line
