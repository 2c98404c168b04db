"""Key ids that every store accepts, and version ids that show their age and origin.

A store where the caller names a version (Secrets Manager's ``ClientRequestToken``, the local
file) gets ids of this form. So a listing alone shows when a version was made and from which base,
and no call per key is needed::

    daena-20261124T155018Z-0f1e2d3c4b-9a8b7c6d5e4f3a2b
          UTC second       base mark   randomness
"""

import contextlib
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from daena_kms.errors import ConfigError, InvalidKeyId

MAX_KEY_ID = 100
MAX_VALUE_BYTES = 25_000
PLAUSIBLE_YEARS = range(2000, 9000)

_KEY_ID = re.compile(r"[a-z][a-z0-9-]{0,99}", re.ASCII)
#: The form of a version id of our own.
OWN_VERSION_ID = re.compile(r"daena-(\d{8}T\d{6}Z)-([0-9a-f]{10})-[0-9a-f]{16}", re.ASCII)
_STAMP = "%Y%m%dT%H%M%SZ"


def check_key_id(key_id: object) -> str:
    """Return ``key_id`` if it is portable; no store is called.

    The form is what all stores allow: ``^[a-z][a-z0-9-]{0,99}$``, no trailing hyphen.

    Raises:
        InvalidKeyId: It is not.
    """
    if isinstance(key_id, str) and _KEY_ID.fullmatch(key_id) and not key_id.endswith("-"):
        return key_id
    shown = repr(key_id) if isinstance(key_id, str) else type(key_id).__name__
    if len(shown) > MAX_KEY_ID:
        shown = f"{shown[:40]}… ({len(key_id) if isinstance(key_id, str) else 0} characters)"
    msg = f"{shown} is not a key id"
    todo = (
        "Use 1 to 100 lower-case letters, digits and hyphens, "
        "beginning with a letter and not ending with a hyphen"
    )
    raise InvalidKeyId(msg, todo=todo)


def check_material(material: object, key_id: str) -> str:
    """Return ``material`` if every store can hold it.

    Raises:
        ConfigError: It is not text of 1 to 25,000 bytes. The error never quotes it.
    """
    if not isinstance(material, str):
        msg = f"the value is {type(material).__name__}, not text"
        raise ConfigError(msg, key_id=key_id, todo="Pass a str; encode binary values as base64")
    size = len(check_is_text(material, key_id).encode())
    if not 1 <= size <= MAX_VALUE_BYTES:
        msg = f"the value has {size} bytes"
        raise ConfigError(msg, key_id=key_id, todo=f"Store 1 to {MAX_VALUE_BYTES} bytes of UTF-8")
    return material


def check_is_text(material: str, key_id: str) -> str:
    """Return ``material`` if it has a form in UTF-8: then its bytes are what was stored.

    Raises:
        ConfigError: It has lone surrogates, which JSON can carry. The error never quotes it.
    """
    encoded = None
    with contextlib.suppress(UnicodeEncodeError):
        encoded = material.encode()
    if encoded is None:
        # Raised outside the handler: that error holds the value and would be the context of ours.
        msg = "the value has lone surrogates, so it is not UTF-8 text"
        raise ConfigError(msg, key_id=key_id, todo="Encode binary values as base64")
    return material


@dataclass(frozen=True, slots=True)
class ParsedId:
    """What a version id of our form says: when the version was made and the mark of its base."""

    made: datetime
    base_mark: str


def mark(version_id: str | None) -> str:
    """Return the mark of a version id: a short fingerprint, which the next version's id carries.

    It identifies a version among the few of one key. It is a hash of an id, never of a value.
    """
    return hashlib.sha256((version_id or "none").encode(errors="surrogatepass")).hexdigest()[:10]


def new_version_id(base_id: str | None, at: datetime) -> str:
    """Return a fresh id for a version made at ``at``.

    ``base_id`` is the store's id of the version that it is made from; ``None`` for a key's first
    version.
    """
    stamp = at.astimezone(UTC).strftime(_STAMP)
    return f"daena-{stamp}-{mark(base_id)}-{secrets.token_hex(8)}"


def parse_version_id(version_id: str) -> ParsedId | None:
    """Return what a version id of our own says, or ``None`` for anybody else's."""
    match = OWN_VERSION_ID.fullmatch(version_id)
    if match is None:
        return None
    try:
        made = datetime.fromisoformat(match[1])
    except ValueError:
        return None
    # Anybody may write an id of this form, and a far year plus a policy's interval would overflow.
    return ParsedId(made, match[2]) if made.year in PLAUSIBLE_YEARS else None


def base_mark_of(version_id: str | None) -> str | None:
    """Return the mark of the base in a version id of our own, ``None`` for anybody else's."""
    parsed = parse_version_id(version_id or "")
    return parsed.base_mark if parsed is not None else None
