"""Key specs (``daena.spec``): what kind of value a key holds and how a fresh one is made.

A spec is one word, or for passwords a word with options that every cloud's tags can carry::

    aes-256  aes-128  hmac-256  hmac-512  ed25519  rsa-3072  ec-p256  token
    password
    password:length=24:classes=lower.upper.digit:exclude=6f.30

``exclude`` lists the characters that must not appear, as two hexadecimal digits each, because a
tag on AWS can't hold a quote, an ampersand or a backslash.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from daena_kms.errors import ConfigError

#: A source of ``n`` random bytes.
Randomness = Callable[[int], bytes]

CLASSES = {
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "digit": "0123456789",
    # No quote, backslash, slash, at sign or space: databases, shells and URLs misread them.
    "symbol": "!#$%&*+-=?^_.~",
}
MIN_LENGTH, MAX_LENGTH = 12, 512
_MIN_ALPHABET = 10
#: In characters. No cloud's tag is longer, and the audit log holds no longer one.
MAX_TEXT = 500
_TOKEN_BYTES = 32
_SYMMETRIC = {"aes-128": 16, "aes-256": 32, "hmac-256": 32, "hmac-512": 64}
_ASYMMETRIC = ("ed25519", "rsa-3072", "ec-p256")
NAMES = (*_SYMMETRIC, *_ASYMMETRIC, "password", "token")
DEFAULT = "aes-256"
_HEX = re.compile(r"[0-7][0-9a-f](\.[0-7][0-9a-f])*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec. ``protects_data``: old versions may be needed to read or verify old data."""

    text: str
    name: str
    protects_data: bool
    #: About how many random bytes one value takes; 0 where ``cryptography`` makes the key itself.
    random_bytes: int
    length: int = 32
    alphabets: tuple[str, ...] = field(default=())


def parse_spec(text: str, name: str = "daena.spec") -> Spec:
    """Return the spec written in ``text``. Raises :class:`ConfigError` that names ``name``."""
    word, *options = text.split(":")
    if word not in NAMES or (options and word != "password"):
        msg = f"{name} is {text[:60]!r}, which is not a key spec"
        todo = f"Use one of {', '.join(NAMES)}; only password takes options"
        raise ConfigError(msg, todo=todo)
    if word == "password":
        spec = _parse_password(text, options, name)
        if len(text) > MAX_TEXT:
            msg = f"{name} has {len(text):,} characters"
            raise ConfigError(msg, todo=f"A key spec has at most {MAX_TEXT}")
        return spec
    if word == "token":
        return Spec(text, word, protects_data=False, random_bytes=_TOKEN_BYTES)
    return Spec(text, word, protects_data=True, random_bytes=_SYMMETRIC.get(word, 0))


def _parse_password(text: str, options: list[str], name: str) -> Spec:
    given: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key in given or key not in {"length", "classes", "exclude"}:
            msg = f"{name} has the option {option[:40]!r}"
            todo = "A password takes length=N, classes=lower.upper.digit.symbol, exclude=22.5c"
            raise ConfigError(msg, todo=todo)
        given[key] = value
    length = _length(given.get("length", "32"), name)
    excluded = _excluded(given.get("exclude", ""), name)
    classes = given.get("classes", ".".join(CLASSES)).split(".")
    unknown = [c for c in classes if c not in CLASSES]
    if unknown or len(set(classes)) != len(classes):
        msg = f"{name} has classes={given['classes'][:60]!r}"
        todo = f"Name each of {', '.join(CLASSES)} at most once, joined with dots"
        raise ConfigError(msg, todo=todo)
    alphabets = tuple("".join(c for c in CLASSES[k] if c not in excluded) for k in classes)
    if not all(alphabets):
        empty = classes[alphabets.index("")]
        msg = f"{name} excludes every character of the class {empty!r}"
        raise ConfigError(msg, todo="Remove the class, or exclude fewer characters")
    if len("".join(alphabets)) < _MIN_ALPHABET:
        msg = f"{name} leaves {len(''.join(alphabets))} characters to choose from"
        raise ConfigError(msg, todo=f"Leave at least {_MIN_ALPHABET}")
    # Rejection sampling takes under 1.5 bytes a character, so this guess seldom falls short.
    return Spec(text, "password", False, length * 2, length, alphabets)  # noqa: FBT003 - in order


def _length(text: str, name: str) -> int:
    length = int(text) if text.isascii() and text.isdigit() and len(text) < len("10000") else 0
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        msg = f"{name} has length={text[:20]!r}"
        raise ConfigError(msg, todo=f"Use a length from {MIN_LENGTH} to {MAX_LENGTH}")
    return length


def _excluded(text: str, name: str) -> str:
    if not text:
        return ""
    if _HEX.fullmatch(text) is not None:
        return "".join(chr(int(pair, 16)) for pair in text.split("."))
    msg = f"{name} has exclude={text[:40]!r}"
    todo = 'Write each ASCII character as two hexadecimal digits, joined with dots: 22.5c is "\\'
    raise ConfigError(msg, todo=todo)


def generate(spec: Spec, random: Randomness) -> str:
    """Return a fresh value of ``spec`` as text.

    Args:
        spec: What kind of value to make.
        random: Returns as many random bytes as it is asked for. It is the source of everything
            symmetric; private keys come from ``cryptography``.

    Returns:
        Standard base64 with padding for ``aes-*`` and ``hmac-*``, PKCS#8 PEM without a passphrase
        for private keys, URL-safe base64 without padding for ``token``, or a password.
    """
    if spec.name in _SYMMETRIC:
        return base64.b64encode(random(spec.random_bytes)).decode()
    if spec.name == "token":
        return base64.urlsafe_b64encode(random(_TOKEN_BYTES)).rstrip(b"=").decode()
    if spec.name == "password":
        return _password(spec, random)
    return _private_key(spec.name)


def _private_key(name: str) -> str:
    # Imported only here: most runs make no private key, and the import would slow a cold start.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if name == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
    elif name == "rsa-3072":
        private = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _password(spec: Spec, random: Randomness) -> str:
    """Draw uniformly from all passwords of this length that have a character of each class.

    Whole candidates are drawn until one fits. Putting one character of each class in place first
    would make some passwords more likely than others.
    """
    alphabet = "".join(spec.alphabets)
    limit = 256 - 256 % len(alphabet)
    while True:
        letters: list[str] = []
        while len(letters) < spec.length:
            usable = (b for b in random(spec.length) if b < limit)
            letters += [alphabet[b % len(alphabet)] for b in usable]
        candidate = "".join(letters[: spec.length])
        if all(any(c in part for c in candidate) for part in spec.alphabets):
            return candidate


def check_fits(spec: Spec, material: str, key_id: str) -> None:
    """Check that a caller's value fits the spec that the caller names.

    Raises:
        ConfigError: It does not. The error never quotes it.
    """
    if _fits(spec, material):
        return
    msg = f"the given value does not fit the spec {spec.text!r}"
    raise ConfigError(msg, key_id=key_id, todo="Give a value of that form, or name another spec")


def _fits(spec: Spec, material: str) -> bool:
    if spec.name in _SYMMETRIC:
        try:
            return len(base64.b64decode(material, validate=True)) == spec.random_bytes
        except ValueError:
            return False
    if spec.name == "password":
        return (
            len(material) == spec.length
            and set(material) <= set("".join(spec.alphabets))
            and all(set(part) & set(material) for part in spec.alphabets)
        )
    if spec.name == "token":
        return material.isascii() and all(c.isalnum() or c in "-_" for c in material)
    return _is_private_key(spec.name, material)


def _is_private_key(name: str, material: str) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(material.encode(), password=None)
    except (ValueError, TypeError):
        return False
    if not material.startswith("-----BEGIN PRIVATE KEY-----\n"):
        return False  # not PKCS#8
    if isinstance(key, rsa.RSAPrivateKey):
        return name == f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return name == "ec-p256" and isinstance(key.curve, ec.SECP256R1)
    return name == "ed25519" and isinstance(key, ed25519.Ed25519PrivateKey)
