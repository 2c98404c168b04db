"""How hard it is to guess a fresh value of a spec, in bits, and the least that is allowed. Pure.

Symmetric values and tokens have as many bits as they have random bits. A password has the
logarithm of the number of passwords that its spec allows, which are all equally likely. A private
key counts by its security strength: NIST SP 800-57 Part 1 Rev. 5, table 2, and SP 800-186, table 1.
"""

import functools
import math

from daena_kms.errors import ConfigError
from daena_kms.rules.specs import MAX_LENGTH, NAMES, Spec, parse_spec

#: NIST SP 800-131A Rev. 2: a security strength under 112 bits is not acceptable.
DEFAULT_MIN_BITS = 112
#: The largest minimum that at least one spec reaches without options: ``hmac-512``.
MAX_MIN_BITS = 512
MIN_BITS_VARIABLE = "DAENA_KMS_MIN_BITS"

_PRIVATE_KEYS = {"ed25519": 128, "rsa-3072": 128, "ec-p256": 128}
_MAX_DIGITS = 3


def read_min_bits(text: str, name: str = MIN_BITS_VARIABLE) -> int:
    """Return the minimum written in ``text``.

    Raises:
        ConfigError: It is not a whole number from 1 to :data:`MAX_MIN_BITS`; the message names
            ``name``.
    """
    digits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not digits or not 1 <= int(text) <= MAX_MIN_BITS:
        msg = f"{name} is {text[:40]!r}"
        raise ConfigError(msg, todo=f"Write a whole number of bits from 1 to {MAX_MIN_BITS}")
    return int(text)


@functools.lru_cache(maxsize=512)
def possible_values(spec: Spec) -> int:
    """Return how many values, all equally likely, a fresh value of ``spec`` is drawn from.

    For a private key this is two to the power of its security strength.
    """
    if spec.name == "password":
        return _passwords([len(part) for part in spec.alphabets], spec.length)
    bits = _PRIVATE_KEYS.get(spec.name, 8 * spec.random_bytes)
    return 1 << bits


def _passwords(classes: list[int], length: int) -> int:
    """Return how many texts of this length have a character of each class.

    By inclusion and exclusion: from all texts, take away those without one class, add again those
    without two, and so on.

    Args:
        classes: How many characters each class has; no character is in two of them.
        length: The number of characters of a text.
    """
    count = 0
    for missing in range(1 << len(classes)):
        left = sum(size for number, size in enumerate(classes) if not missing >> number & 1)
        sign = -1 if missing.bit_count() % 2 else 1
        count += sign * left**length
    return count


def bits_of(spec: Spec) -> float:
    """Return the bits of a fresh value of ``spec``."""
    return math.log2(possible_values(spec))


def bits_text(spec: Spec, least: int = 0) -> str:
    """Return the bits of ``spec`` with one decimal, for people.

    A spec that is below ``least`` is never rounded up to it.
    """
    bits = bits_of(spec)
    rounded = round(bits, 1)
    if rounded >= least and not reaches(spec, least):
        rounded = math.floor(bits * 10) / 10
    return f"{rounded:.0f}" if rounded == int(rounded) else f"{rounded:.1f}"


def reaches(spec: Spec, least: int) -> bool:
    """Whether a fresh value of ``spec`` has at least so many bits; decided without rounding."""
    return possible_values(spec) >= 1 << least


def check_strength(spec: Spec, least: int, name: str = "daena.spec") -> None:
    """Check that fresh values of a spec are not too easy to guess.

    Args:
        spec: The spec.
        least: The deployment's minimum, in bits.
        name: What names the spec in the message.

    Raises:
        ConfigError: They have fewer bits. The message says how many, names the setting, and says
            which spec would do.
    """
    if reaches(spec, least):
        return
    msg = (
        f"{name} is {spec.text[:60]!r}, whose values have {bits_text(spec, least)} bits of "
        f"entropy, but {MIN_BITS_VARIABLE} asks for {least}"
    )
    raise ConfigError(msg, todo=f"Use {_sufficient(spec, least)}, or lower {MIN_BITS_VARIABLE}")


def _sufficient(spec: Spec, least: int) -> str:
    """Return which specs would do, in words: the same one longer, or others."""
    others = [name for name in NAMES if reaches(parse_spec(name), least)]
    if spec.name != "password":
        return " or ".join(filter(None, (", ".join(others[:-1]), *others[-1:])))
    sizes = [len(part) for part in spec.alphabets]
    length = next(
        (n for n in range(spec.length, MAX_LENGTH + 1) if _passwords(sizes, n) >= 1 << least), None
    )
    if length is None:
        return "a password of more kinds of characters"
    options = [o for o in spec.text.split(":")[1:] if not o.startswith("length=")]
    return f"the spec {':'.join(['password', f'length={length}', *options])}"
