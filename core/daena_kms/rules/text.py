"""Text that other people wrote, in a form that can't act on the place where it is shown.

Tags, ids that other programs chose, records of the log and answers of services may hold anything.
Shown as it is, such text could move a terminal's cursor, hide or reverse what stands beside it, or
begin a line that looks like one of ours.
"""

import re

#: What Python counts as printable although nothing, or only a space, is seen of it: joiners,
#: fillers and variation selectors (Unicode's Default_Ignorable_Code_Point, and the empty Braille
#: cell). https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_ONE_BYTE, _TWO_BYTES = 0x100, 0x10000
#: How many characters a reason for the audit log may have.
MAX_REASON = 500


def shown(text: object) -> str:
    r"""Return a text as one line that is safe to print: what can't be seen is escaped.

    Escaped are control characters, line ends and separators, direction marks and overrides,
    characters without width, spaces other than the ordinary one, and lone surrogates. They become
    ``\x1b``, ``\u202e`` or ``\U000e0001``.
    """
    plain = str(text)
    if plain.isprintable() and (plain.isascii() or not _UNSEEN.search(plain)):
        return plain
    return "".join(map(_character, plain))


def is_safe(text: str) -> bool:
    """Whether a text is shown as it is, on one line."""
    return shown(text) == text


def _character(character: str) -> str:
    if character.isprintable() and not _UNSEEN.match(character):
        return character
    code = ord(character)
    if code < _ONE_BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _TWO_BYTES else f"\\U{code:08x}"
