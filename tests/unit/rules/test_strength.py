"""How many bits a spec has, counted exactly, and what is refused below the deployment's minimum."""

from itertools import product

import pytest
from daena_kms.errors import ConfigError
from daena_kms.rules.policy import Defaults, parse_policy
from daena_kms.rules.specs import NAMES, parse_spec
from daena_kms.rules.strength import (
    DEFAULT_MIN_BITS,
    MAX_MIN_BITS,
    _passwords,
    bits_of,
    bits_text,
    check_strength,
    possible_values,
    reaches,
    read_min_bits,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import CAN, DEFAULTS

DIGITS = "password:length={}:classes=digit"


@pytest.mark.parametrize(
    ("classes", "length"),
    [
        (["ab"], 4),
        (["ab", "c"], 4),
        (["a", "b", "c"], 3),
        (["abc", "de", "f", "gh"], 5),
        (["a"], 1),
    ],
)
def test_passwords_are_counted_exactly(classes: list[str], length: int) -> None:
    """As many as there are texts with a character of each class, written out one by one."""
    every = product("".join(classes), repeat=length)
    valid = sum(all(any(c in part for c in text) for part in classes) for text in every)
    assert _passwords([len(part) for part in classes], length) == valid


@pytest.mark.parametrize(
    ("spec", "bits"),
    [
        *[("aes-128", 128), ("aes-256", 256), ("hmac-256", 256), ("hmac-512", 512), ("token", 256)],
        *[("ed25519", 128), ("rsa-3072", 128), ("ec-p256", 128)],
    ],
)
def test_what_is_no_password_has_the_bits_of_its_kind(spec: str, bits: int) -> None:
    """Random bits where there are some, the security strength of private keys."""
    assert possible_values(parse_spec(spec)) == 2**bits
    assert (bits_of(parse_spec(spec)), bits_text(parse_spec(spec))) == (bits, str(bits))


@pytest.mark.parametrize("spec", NAMES)
def test_every_spec_without_options_is_allowed_by_default(spec: str) -> None:
    """Nobody has to set anything for what the documents recommend."""
    check_strength(parse_spec(spec), DEFAULT_MIN_BITS)
    assert parse_policy({"daena.spec": spec}, DEFAULTS, CAN).spec.name == spec


@pytest.mark.parametrize(
    ("weakest", "options"),
    [
        (34, "classes=digit"),
        (24, "classes=lower"),
        (20, "classes=lower.upper"),
        (19, "classes=lower.upper.digit"),
        (18, "classes=lower.upper.digit.symbol"),
        (19, "classes=lower.upper.digit:exclude=6f.30"),
    ],
)
def test_a_password_is_allowed_from_112_bits_on(weakest: int, options: str) -> None:
    """The least length passes; one character less is refused, with the spec that would do."""
    check_strength(parse_spec(f"password:length={weakest}:{options}"), 112)
    short = f"password:length={weakest - 1}:{options}"
    with pytest.raises(ConfigError) as refused:
        check_strength(parse_spec(short), 112)
    assert "DAENA_KMS_MIN_BITS asks for 112" in refused.value.what
    assert repr(short[:60]) in refused.value.what
    assert str(refused.value.todo).startswith(f"Use the spec password:length={weakest}:{options},")


def test_classes_that_are_required_make_fewer_passwords() -> None:
    """A length times the bits of a character would say that these have 112 bits; they have not."""
    spec = parse_spec("password:length=20:classes=lower.upper")
    naive = 20 * 5.70043971814
    assert bits_of(spec) < naive
    assert possible_values(spec) == 52**20 - 2 * 26**20


@pytest.mark.parametrize(
    ("spec", "least", "suggested"),
    [
        ("aes-128", 129, "aes-256, hmac-256, hmac-512, password or token"),
        ("ed25519", 192, "aes-256, hmac-256, hmac-512, password or token"),
        ("rsa-3072", 200, "aes-256, hmac-256, hmac-512 or token"),
        ("token", 257, "hmac-512"),
        ("password", 512, "the spec password:length=82"),
    ],
)
def test_a_refusal_says_which_specs_would_do(spec: str, least: int, suggested: str) -> None:
    """Those that reach the minimum, and that its setting may be lowered."""
    with pytest.raises(ConfigError) as refused:
        parse_policy({"daena.spec": spec}, Defaults(min_bits=least), CAN)
    assert refused.value.todo == f"Use {suggested}, or lower DAENA_KMS_MIN_BITS"
    check_strength(parse_spec(suggested.rpartition(" ")[2]), least)


@given(
    st.integers(1, MAX_MIN_BITS),
    st.integers(12, 120),
    st.sampled_from(["digit", "lower.digit", "lower.upper.digit", "symbol.digit"]),
)
def test_nothing_is_rounded_up_to_the_minimum(least: int, length: int, classes: str) -> None:
    """What is refused is shown with fewer bits than the minimum, and what is allowed with as many.

    The decision itself compares whole numbers.
    """
    spec = parse_spec(f"password:length={length}:classes={classes}")
    assert reaches(spec, least) is (possible_values(spec) >= 2**least)
    if reaches(spec, least):
        assert bits_of(spec) >= least - 1e-9
    else:
        assert float(bits_text(spec, least)) < least


@pytest.mark.parametrize("text", ["1", "40", "112", "128", "256", "512"])
def test_the_setting_takes_whole_numbers(text: str) -> None:
    """From one bit, which every spec has, to what a spec without options can reach."""
    assert read_min_bits(text) == int(text)
    defaults = Defaults.from_environment({"DAENA_KMS_MIN_BITS": text})
    assert defaults.min_bits == int(text)
    assert defaults.given == {"DAENA_KMS_MIN_BITS"}


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "513",
        "1000000",
        "112.0",
        "1e2",
        "112 bits",
        " 112",
        "112\n",
        "x",
        "\u0661",
        "never",
    ],
)
def test_a_malformed_setting_is_refused(text: str) -> None:
    """By its name, with the form."""
    with pytest.raises(ConfigError) as refused:
        Defaults.from_environment({"DAENA_KMS_MIN_BITS": text})
    assert refused.value.what == f"DAENA_KMS_MIN_BITS is {text!r}"
    assert refused.value.todo == "Write a whole number of bits from 1 to 512"


def test_an_empty_setting_sets_nothing() -> None:
    """As for every variable."""
    defaults = Defaults.from_environment({"DAENA_KMS_MIN_BITS": ""})
    assert (defaults.min_bits, defaults.given) == (112, frozenset())


@pytest.mark.parametrize("tag", ["daena.min-bits", "daena.bits", "daena.MIN_BITS"])
def test_no_tag_changes_the_minimum(tag: str) -> None:
    """A tag of such a name is unknown, and the key is failing."""
    with pytest.raises(ConfigError, match="is not a tag of daena-kms"):
        parse_policy({tag: "1", "daena.spec": DIGITS.format(12)}, DEFAULTS, CAN)


def test_a_deployment_may_allow_less() -> None:
    """Then the spec makes what it says."""
    weak = Defaults.from_environment({"DAENA_KMS_MIN_BITS": "39"})
    spec = parse_policy({"daena.spec": DIGITS.format(12)}, weak, CAN).spec
    assert bits_text(spec) == "39.9"
