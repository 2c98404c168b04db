"""What may stand in a manifest beside the key id: bounded, plain data, and never the value."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from daena_kms.errors import ConfigError

MAX_METADATA = 4096
MAX_OPERATOR = 200
#: A shorter value occurs in innocent text by chance: of it only the whole text counts.
_LEAST = 8
_GAPS = re.compile(r"[\s:]+")
_STRETCH = re.compile(r"[A-Za-z0-9_-]{16,}", re.ASCII)

_TODO = f"Pass a dict with str keys that JSON can hold, of at most {MAX_METADATA} bytes"


def check_metadata(metadata: object, key_id: str) -> dict[str, Any]:
    """Return a copy of the caller's metadata, as JSON gives it back.

    Raises :class:`ConfigError` for what JSON can't hold, or holds otherwise than it was given
    (``None`` for ``NaN``, text for a number as a key), and for what is too long.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        msg = f"the metadata is {type(metadata).__name__}, not a dict"
        raise ConfigError(msg, key_id=key_id, todo=_TODO)
    given = dict(metadata)
    text: str | None
    copied: Any = None
    try:
        text = json.dumps(given, sort_keys=True, allow_nan=False)
        copied = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        text = None
    # Raised out here: JSON's own error may quote the text that it can't read.
    if text is None or copied != given:
        raise ConfigError("the metadata is not plain JSON", key_id=key_id, todo=_TODO)
    if len(text) > MAX_METADATA:
        msg = f"the metadata has {len(text)} bytes as JSON"
        raise ConfigError(msg, key_id=key_id, todo=_TODO)
    checked: dict[str, Any] = copied
    return checked


def check_operator(operator: str) -> str:
    """Return who rotates, as it may stand in a log. Raises :class:`ConfigError`."""
    if operator.isprintable() and 0 < len(operator) <= MAX_OPERATOR:
        return operator
    msg = f"the operator has {len(operator)} characters, or contains one that can't be printed"
    todo = f"Set DAENA_OPERATOR to a name of 1 to {MAX_OPERATOR} printable characters"
    raise ConfigError(msg, todo=todo)


def refuse_in_id(material: str, key_id: str) -> None:
    """Raise :class:`ConfigError` if the key's id contains the value; neither is shown."""
    if len(material) >= _LEAST and material in key_id:
        todo = "Name the key, and pass its value as key_material"
        raise ConfigError("the key id contains the value itself", todo=todo)


def refuse_material(material: str, key_id: str, **texts: object) -> None:
    """Raise :class:`ConfigError` if what will be written contains the value itself.

    Plain, or as base64, hexadecimal, URL-quoted or JSON. Another secret can't be known here.
    """
    forms = {form for form in _forms(material) if len(form) >= _LEAST}
    encoded = {form for form in _encoded(material) if len(form) >= _LEAST}
    for name, content in texts.items():
        for text, whole in _texts(content):
            # Each character may be escaped or not, and in either case of the digits.
            read = (text, text.lower(), unquote(text), unquote_plus(text))
            present = any(form in said for said in read for form in forms)
            # Tools break base64 into lines, and put blanks or colons between the bytes.
            tight = [_GAPS.sub("", said) for said in read]
            present = present or any(form in said for said in tight for form in encoded)
            if present or (whole and text == material):
                msg = f"its {name.replace('_', ' ')} contains the value itself"
                raise ConfigError(msg, key_id=key_id, todo="Remove it: manifests are public")


def _forms(material: str) -> Iterator[str]:
    # A form of a form still holds the plain stretches of a value.
    yield from _STRETCH.findall(material)
    yield from (material, quote(material))
    yield json.dumps(material)[1:-1]
    yield json.dumps(material, ensure_ascii=False)[1:-1]


def _encoded(material: str) -> Iterator[str]:
    """Yield the value's bytes in hexadecimal and base64, in which a gap means nothing."""
    raw = material.encode()
    yield raw.hex()
    for shift in range(3):
        # In the middle of something longer the same bytes are other base64; the ends are mixed.
        text = base64.b64encode(bytes(shift) + raw).decode()[4 if shift else 0 :]
        inner = text.rstrip("=")[: -1 if text.endswith("=") else None]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def _texts(content: object) -> Iterator[tuple[str, bool]]:
    """Yield every text in plain data, and whether somebody wrote it as a whole.

    Names and numbers are among them; a list or an object counts as its JSON, too.
    """
    if isinstance(content, Mapping):
        yield json.dumps(content, ensure_ascii=False), False
        for name, inner in content.items():
            yield from _texts(name)
            yield from _texts(inner)
    elif isinstance(content, list):
        yield json.dumps(content, ensure_ascii=False), False
        for inner in content:
            yield from _texts(inner)
    else:
        yield str(content), True
