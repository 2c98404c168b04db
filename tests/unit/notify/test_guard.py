"""Which addresses an event may go to."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
)

import pytest
from daena_kms.errors import ConfigError
from daena_kms.notify.guard import Grade, check_address, grade_of
from hypothesis import given
from hypothesis import strategies as st

HOST = "hooks.example"
ADDRESSES = {
    Grade.PUBLIC: (
        "8.8.8.8",
        "93.184.215.14",
        "168.63.129.15",
        "168.63.129.17",
        "2606:4700::1111",
        "2a00:1450:4001:80b::200e",
        "64:ff9b::8.8.8.8",
    ),
    Grade.PRIVATE: (
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.9",
        "::1",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "2001:db8::1",
        "3fff::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
    ),
    Grade.SPECIAL: (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "168.63.129.16",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b::169.254.169.254",
        "64:ff9b::a83f:8110",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:20::1",
        "2606:4700::5efe:7f00:1",
        "2606:4700::200:5efe:a00:1",
    ),
    Grade.NEVER: (
        "0.0.0.0",  # noqa: S104 - to be refused
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
        "fe80::1%eth0",
        "2606:4700::1111%1",
        "64:ff9b::8.8.8.8%1",
        "64:ff9b::0.0.0.0",
        "100::1",
        "100:0:0:1::1",
        "4000::1",
        "5f00::1",
    ),
}
TABLE = [(address, grade) for grade, found in ADDRESSES.items() for address in found]


@pytest.mark.parametrize(("address", "grade"), TABLE)
def test_each_address_has_its_grade(address: str, grade: Grade) -> None:
    """By what it reaches, in whatever form it is written."""
    assert grade_of(ip_address(address)) is grade


@pytest.mark.parametrize(("address", "grade"), TABLE)
def test_what_each_grade_takes(address: str, grade: Grade) -> None:
    """Public needs nothing, private the host's name, special the address; never is never."""
    for allowed, most in (
        (set(), Grade.PUBLIC),
        ({"other.example"}, Grade.PUBLIC),
        ({HOST}, Grade.PRIVATE),
        ({HOST, str(ip_address(address))}, Grade.SPECIAL),
    ):
        if grade <= most:
            assert check_address(HOST, address, frozenset(allowed)) == str(ip_address(address))
        else:
            with pytest.raises(ConfigError, match=HOST):
                check_address(HOST, address, frozenset(allowed))


def test_a_refusal_says_what_to_do() -> None:
    """What the host turned out to be, and the setting that would allow it."""
    with pytest.raises(ConfigError) as refused:
        check_address(HOST, "10.1.2.3", frozenset())
    assert str(refused.value) == (
        "the endpoint's host hooks.example is 10.1.2.3, which is private. "
        "If that is intended, add the host to DAENA_KMS_ENDPOINT_ALLOW"
    )


@pytest.mark.parametrize("text", ["", "hooks.example", "1.2.3", "0x7f000001", "127.1", "::1::"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """A name service that answers nonsense sends nobody anywhere."""
    with pytest.raises(ConfigError, match="something that is not an address"):
        check_address(HOST, text, frozenset({HOST, text}))


FORMS = (
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/96"),
)
#: Every IPv4 range that nothing of ours may reach uninvited.
INNER = [
    *map(IPv4Network, ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8")),
    *map(IPv4Network, ("169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3")),
]


def within(networks: list[IPv4Network]) -> st.SearchStrategy[IPv4Address]:
    """Any address in one of the networks, its ends among them."""
    return st.sampled_from(list(collapse_addresses(networks))).flatmap(
        lambda network: st.ip_addresses(v=4, network=network).map(lambda a: IPv4Address(int(a)))
    )


@given(within(INNER), st.sampled_from(FORMS))
def test_no_disguise_makes_an_inner_address_public(address: IPv4Address, form: IPv6Network) -> None:
    """Neither as it is nor embedded in IPv6."""
    hidden = IPv6Address(int(form.network_address) | int(address))
    assert grade_of(address) > Grade.PUBLIC
    assert grade_of(hidden) > Grade.PUBLIC


@given(within(INNER), st.integers(min_value=0, max_value=2**80 - 1))
def test_tunnels_to_an_inner_address_are_special(address: IPv4Address, rest: int) -> None:
    """6to4 holds it at the front, Teredo the other way round at the end."""
    sixtofour = IPv6Address(0x2002 << 112 | int(address) << 80 | rest)
    teredo = IPv6Address(0x2001_0000 << 96 | (rest << 32) % 2**96 | int(address) ^ 0xFFFF_FFFF)
    assert sixtofour.sixtofour == address
    assert teredo.teredo is not None
    assert teredo.teredo[1] == address
    assert {grade_of(sixtofour), grade_of(teredo)} == {Grade.SPECIAL}


@given(st.ip_addresses())
def test_public_is_what_python_and_the_registry_call_so(
    address: IPv4Address | IPv6Address,
) -> None:
    """The guard lets nothing pass that ``is_global`` would not."""
    if grade_of(address) is Grade.PUBLIC:
        assert address.is_global
        assert not address.is_multicast
        if isinstance(address, IPv6Address):
            unicast = address in IPv6Network("2000::/3")
            assert unicast or address in IPv6Network("64:ff9b::/96")


@given(st.ip_addresses(v=4))
def test_nat64_is_as_near_as_what_it_reaches(address: IPv4Address) -> None:
    """A network without IPv4 reaches every IPv4 host by it."""
    translated = IPv6Address(int(IPv6Address("64:ff9b::")) | int(address))
    assert grade_of(translated) is grade_of(address)
