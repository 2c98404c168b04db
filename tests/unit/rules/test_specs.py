"""Key specs: what is made of each, what fits, and which options are refused."""

import base64
import secrets
import string
from collections import Counter
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from daena_kms.errors import ConfigError
from daena_kms.rules.specs import (
    CLASSES,
    MAX_LENGTH,
    MIN_LENGTH,
    NAMES,
    Spec,
    check_fits,
    generate,
    parse_spec,
)
from daena_kms.stores.randomness import local_random
from hypothesis import given
from hypothesis import strategies as st

SYMMETRIC = {"aes-128": (16, 24), "aes-256": (32, 44), "hmac-256": (32, 44), "hmac-512": (64, 88)}
ASYMMETRIC = ("ed25519", "rsa-3072", "ec-p256")
ALL = "".join(CLASSES.values())
OPTIONS_FORM = "A password takes length=N, classes=lower.upper.digit.symbol, exclude=22.5c"
CLASSES_FORM = "Name each of lower, upper, digit, symbol at most once, joined with dots"
EXCLUDE_FORM = (
    'Write each ASCII character as two hexadecimal digits, joined with dots: 22.5c is "\\'
)


def fresh(text: str) -> str:
    """Return a fresh value of a spec."""
    return generate(parse_spec(text), local_random)


@pytest.mark.parametrize(("name", "size", "length"), [(n, *s) for n, s in SYMMETRIC.items()])
def test_symmetric_keys_are_base64(name: str, size: int, length: int) -> None:
    """A symmetric key is its random bytes, all of them, as standard base64 with padding."""
    drawn: list[bytes] = []

    def random(count: int) -> bytes:
        drawn.append(secrets.token_bytes(count))
        return drawn[-1]

    value = generate(parse_spec(name), random)
    assert len(value) == length
    whole = base64.b64decode(value, validate=True) == b"".join(drawn)
    assert whole
    assert [len(draw) for draw in drawn] == [size]


@pytest.mark.parametrize("name", ASYMMETRIC)
def test_private_keys_are_pkcs8_without_a_passphrase(name: str) -> None:
    """A private key loads with cryptography, and has the curve or size of its spec."""
    value = fresh(name)
    framed = value.startswith("-----BEGIN PRIVATE" + " KEY-----\n") and value.endswith("-----\n")
    assert framed
    key = load_pem_private_key(value.encode(), password=None)
    if name == "rsa-3072":
        assert isinstance(key, rsa.RSAPrivateKey)
        assert key.key_size == 3072
        assert key.public_key().public_numbers().e == 65537
    elif name == "ec-p256":
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert isinstance(key.curve, ec.SECP256R1)
    else:
        assert isinstance(key, ed25519.Ed25519PrivateKey)


def test_tokens_are_url_safe() -> None:
    """A token is 256 random bits in 43 characters that no URL has to escape."""
    values = [fresh("token") for _ in range(200)]
    assert {len(value) for value in values} == {43}
    assert set("".join(values)) == set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize(
    ("text", "length", "classes", "excluded"),
    [
        ("password", 32, list(CLASSES), ""),
        ("password:length=12", 12, list(CLASSES), ""),
        ("password:length=512", 512, list(CLASSES), ""),
        ("password:classes=digit", 32, ["digit"], ""),
        ("password:length=24:classes=lower.upper.digit:exclude=6f.30", 24, 3, "o0"),
        ("password:exclude=21.23.24", 32, list(CLASSES), "!#$"),
        ("password:exclude=4F.6F:classes=symbol.lower.upper", 32, list(CLASSES), "Oo0123456789"),
        ("password:exclude=", 32, list(CLASSES), ""),
    ],
)
def test_passwords_keep_their_policy(
    text: str, length: int, classes: list[str] | int, excluded: str
) -> None:
    """Over many draws: the length, a character of each class, every allowed one, no other."""
    names = list(CLASSES)[:classes] if isinstance(classes, int) else classes
    allowed = set("".join(CLASSES[name] for name in names)) - set(excluded)
    alphabets = [set(CLASSES[name]) & allowed for name in names]
    values = [fresh(text) for _ in range(max(60, 6000 // length))]
    assert {len(value) for value in values} == {length}
    assert set("".join(values)) == allowed
    complete = [all(set(value) & part for part in alphabets if part) for value in values]
    assert all(complete)


def test_a_class_that_seldom_comes_is_there() -> None:
    """Each password holds the only digit that is allowed, which by chance one in six would."""
    only_seven = ".".join(f"{ord(c):02x}" for c in string.digits if c != "7")
    text = f"password:length=12:classes=lower.upper.digit:exclude={only_seven}"
    held = ["7" in fresh(text) for _ in range(100)]
    assert all(held)


def test_characters_of_a_password_are_equally_likely() -> None:
    """Over 64,000 characters none of 76 is drawn a quarter more or less often."""
    text = "".join(fresh("password:length=512") for _ in range(125))
    counts = Counter(text)
    average = len(text) / len(ALL)
    spread = {c for c, n in counts.items() if not 0.75 < n / average < 1.25}
    assert spread == set()
    # Taking the bytes modulo the alphabet without discarding any would favour its beginning.
    first = sum(counts[c] for c in ALL[: 256 % len(ALL)]) / (256 % len(ALL))
    assert 0.97 < first / average < 1.03


def test_values_differ() -> None:
    """No two values of one spec are the same."""
    for text in ("aes-128", "token", "password:length=12"):
        assert len({fresh(text) for _ in range(200)}) == 200


def test_a_run_of_unusable_bytes_is_discarded() -> None:
    """A byte beyond the last multiple of the alphabet's size is drawn again."""
    pieces = [b"\xff" * 12, bytes(range(12)), bytes([200, 255] * 6)]
    taken = iter(pieces)
    spec = parse_spec("password:length=12:classes=lower")
    assert generate(spec, lambda _: next(taken)) == string.ascii_lowercase[:12]


@pytest.mark.parametrize(
    "text", ["", "aes", "AES-256", "aes-256 ", "rsa-2048", "token\n", "x" * 99]
)
def test_an_unknown_spec_is_refused(text: str) -> None:
    """The refusal names the specs there are."""
    with pytest.raises(ConfigError) as refused:
        parse_spec(text)
    assert refused.value.what == f"daena.spec is {text[:60]!r}, which is not a key spec"
    assert refused.value.todo == f"Use one of {', '.join(NAMES)}; only password takes options"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "password"])
def test_only_a_password_takes_options(name: str) -> None:
    """An option that would be ignored is refused."""
    assert parse_spec(name).name == name
    with pytest.raises(ConfigError, match="which is not a key spec"):
        parse_spec(f"{name}:length=32")


@pytest.mark.parametrize(
    ("options", "what", "todo"),
    [
        ("", "the option ''", OPTIONS_FORM),
        ("length", "the option 'length'", OPTIONS_FORM),
        ("size=20", "the option 'size=20'", OPTIONS_FORM),
        ("Length=20", "the option 'Length=20'", OPTIONS_FORM),
        ("length=20:length=30", "the option 'length=30'", OPTIONS_FORM),
        ("length=20:", "the option ''", OPTIONS_FORM),
        ("length=11", "length='11'", "Use a length from 12 to 512"),
        ("length=513", "length='513'", "Use a length from 12 to 512"),
        ("length=", "length=''", "Use a length from 12 to 512"),
        ("length=-20", "length='-20'", "Use a length from 12 to 512"),
        ("length=2e1", "length='2e1'", "Use a length from 12 to 512"),
        ("length=\u0662\u0660", "length='\u0662\u0660'", "Use a length from 12 to 512"),
        ("length=" + "9" * 5000, f"length='{'9' * 20}'", "Use a length from 12 to 512"),
        ("classes=", "classes=''", CLASSES_FORM),
        ("classes=lower.lower", "classes='lower.lower'", CLASSES_FORM),
        ("classes=lower,upper", "classes='lower,upper'", CLASSES_FORM),
        ("classes=letters", "classes='letters'", CLASSES_FORM),
        ("classes=lower.", "classes='lower.'", CLASSES_FORM),
        ("exclude=o", "exclude='o'", EXCLUDE_FORM),
        ("exclude=6f30", "exclude='6f30'", EXCLUDE_FORM),
        ("exclude=6f.", "exclude='6f.'", EXCLUDE_FORM),
        ("exclude=.6f", "exclude='.6f'", EXCLUDE_FORM),
        ("exclude=6f..30", "exclude='6f..30'", EXCLUDE_FORM),
        ("exclude=6f 30", "exclude='6f 30'", EXCLUDE_FORM),
        ("exclude=  ", "exclude='  '", EXCLUDE_FORM),
        ("exclude=ff", "exclude='ff'", EXCLUDE_FORM),
        ("exclude=zz", "exclude='zz'", EXCLUDE_FORM),
        (
            "classes=digit:exclude=30.31.32.33.34.35.36.37.38.39",
            *("excludes every character of the class 'digit'",),
            "Remove the class, or exclude fewer characters",
        ),
    ],
)
def test_a_malformed_option_is_refused(options: str, what: str, todo: str) -> None:
    """The refusal names the option, what stands there, and what may stand there."""
    with pytest.raises(ConfigError) as refused:
        parse_spec(f"password:{options}")
    shown = what if what.startswith("excludes") else f"has {what}"
    assert (refused.value.what, refused.value.todo) == (f"daena.spec {shown}", todo)


def test_the_name_of_the_setting_is_the_callers() -> None:
    """A spec from elsewhere than a tag is refused under its own name."""
    with pytest.raises(ConfigError, match=r"^--spec is 'x'"):
        parse_spec("x", "--spec")


@given(st.text(max_size=40) | st.from_regex(r"password(:[a-z]{0,8}=[a-z0-9.]{0,12}){1,3}"))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Arbitrary text is a spec of which a value can be made, or our error."""
    try:
        spec = parse_spec(text)
    except ConfigError:
        return
    assert spec.text == text
    assert MIN_LENGTH <= spec.length <= MAX_LENGTH


@pytest.mark.parametrize("text", [*NAMES, "password:length=20:classes=lower.digit:exclude=61"])
def test_what_is_made_fits(text: str) -> None:
    """A fresh value is of the spec that it was made of, and a data key protects data."""
    spec = parse_spec(text)
    check_fits(spec, generate(spec, local_random), "k")
    assert spec.protects_data is (spec.name not in {"password", "token"})


MISFITS: list[tuple[str, Callable[[], str]]] = [
    ("aes-256", lambda: fresh("aes-128")),
    ("aes-128", lambda: fresh("aes-256")),
    ("aes-256", lambda: secrets.token_urlsafe(40)),
    ("hmac-512", lambda: fresh("hmac-512")[:-1]),
    ("aes-256", lambda: fresh("aes-256") + "\n"),
    ("hmac-256", lambda: "\u00e9" * 44),
    ("ed25519", lambda: fresh("token")),
    ("token", lambda: fresh("token") + "="),
    ("token", lambda: fresh("token") + "\u00e9"),
    ("token", lambda: f"{fresh('token')} {fresh('token')}"),
    ("password", lambda: fresh("password") + "a"),
    ("password", lambda: fresh("password:classes=lower.upper.digit")),
    ("password:classes=lower", lambda: fresh("password:classes=upper")),
    ("ed25519", lambda: fresh("ec-p256")),
    ("ec-p256", lambda: fresh("ed25519")),
    ("rsa-3072", lambda: fresh("ed25519")),
    ("ed25519", lambda: fresh("ed25519").replace("\n", "\n\n")[:80]),
]


@pytest.mark.parametrize("number", range(len(MISFITS)))
def test_a_value_of_another_spec_is_refused(number: int) -> None:
    """What is not of the spec is refused by key, and never quoted."""
    text, make = MISFITS[number]
    spec: Spec = parse_spec(text)
    value = make()
    with pytest.raises(ConfigError) as refused:
        check_fits(spec, value, "k")
    assert refused.value.what == f"the given value does not fit the spec {text!r}"
    assert refused.value.key_id == "k"
    quoted = value[:20] in repr(refused.value)
    assert not quoted


def test_a_text_that_is_too_long_is_no_spec() -> None:
    """The log could not hold it, and would take the intent for one that no run wrote."""
    text = "password:length=40:exclude="
    assert parse_spec(text + ".".join(["22"] * 157)).length == 40
    with pytest.raises(ConfigError) as refused:
        parse_spec(text + ".".join(["22"] * 160))
    assert refused.value.what == "daena.spec has 506 characters"
    assert refused.value.todo == "A key spec has at most 500"
