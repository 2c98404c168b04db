"""Which addresses an event may be sent to, judged by the address alone. Pure: no I/O.

Somebody who may set the endpoint must not reach what only this machine can reach: its own services,
the private network, the cloud's metadata. The ranges are those of IANA's registries of
special-purpose addresses (Python's ``is_global`` knows an older state of them), and the clouds' own
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html,
https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16,
https://cloud.google.com/compute/docs/metadata/querying-metadata).
"""

from collections.abc import Iterator
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from daena_kms.errors import ConfigError


class Grade(IntEnum):
    """How special an address is: the higher the grade, the more it takes to allow it."""

    PUBLIC = 0
    #: Of this machine or a private network: allowed if the host is allowed by name.
    PRIVATE = 1
    #: Link-local, a cloud's metadata, or a disguised IPv4 address: only if the address is allowed.
    SPECIAL = 2
    #: No receiver can have it.
    NEVER = 3


#: Names of the metadata services, whatever they resolve to.
METADATA_NAMES = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.goog",
        "metadata.google.internal",
    }
)

_WORDS = {
    Grade.PRIVATE: "private",
    Grade.SPECIAL: "link-local, a cloud's metadata, or a disguised IPv4 address",
    Grade.NEVER: "not an address that a receiver can have",
}
_TODO = {
    Grade.PRIVATE: "If that is intended, add the host to DAENA_KMS_ENDPOINT_ALLOW",
    Grade.SPECIAL: "If that is intended, add the address to DAENA_KMS_ENDPOINT_ALLOW",
    Grade.NEVER: "Set DAENA_KMS_ENDPOINT to a host that receives events",
}

#: Azure's platform, which has a public address.
_METADATA_4 = (IPv4Network("168.63.129.16/32"),)
#: AWS's (metadata, DNS, time, pod identity), and Google's.
_METADATA_6 = (IPv6Network("fd00:ec2::/32"), IPv6Network("fd20:ce::/64"))
#: Protocol assignments and the relays of 6to4: ``is_global`` is true for some of them.
_PRIVATE_4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_NOBODY_4 = (IPv4Network("0.0.0.0/8"), IPv4Network("240.0.0.0/4"))
_GLOBAL_6 = IPv6Network("2000::/3")
_UNIQUE_LOCAL = IPv6Network("fc00::/7")
#: ``is_loopback`` is also true for a disguise of 127.0.0.1.
_LOOPBACK_6 = IPv6Address("::1")
#: Protocol assignments, which include Teredo, and 6to4.
_SPECIAL_6 = (IPv6Network("2001::/23"), IPv6Network("2002::/16"))
_DOCUMENTATION_6 = (IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"))
#: RFC 4291 (compatible, mapped), RFC 2765 (translated), RFC 8215 (local NAT64).
_DISGUISED = (
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("64:ff9b:1::/48"),
)
#: RFC 6052: how a network without IPv4 reaches IPv4 hosts; the IPv4 address in it decides.
_NAT64 = IPv6Network("64:ff9b::/96")
#: RFC 5214: the middle of an interface id that ends in an IPv4 address.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_32_BITS = 0xFFFF_FFFF


def check_address(host: str, address: str, allowed: frozenset[str]) -> str:
    """Return an address in its usual form, if events may be sent to it.

    Args:
        host: the endpoint's host.
        address: what the host resolved to.
        allowed: names of hosts that may have private addresses, and addresses.

    Raises:
        ConfigError: no event may be sent to it; the text says why.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        msg = f"{host} resolved to something that is not an address"
        raise ConfigError(msg, todo="Check this machine's name service") from None
    grade = grade_of(parsed)
    highest = Grade.PUBLIC
    if str(parsed) in allowed:
        highest = Grade.SPECIAL
    elif host in allowed:
        highest = Grade.PRIVATE
    if grade > highest:
        msg = f"the endpoint's host {host} is {parsed}, which is {_WORDS[grade]}"
        raise ConfigError(msg, todo=_TODO[grade])
    return str(parsed)


def grade_of(address: IPv4Address | IPv6Address) -> Grade:
    """Return the grade of an address."""
    return _grade_4(address) if isinstance(address, IPv4Address) else _grade_6(address)


def _grade_4(address: IPv4Address) -> Grade:
    if address.is_multicast or _in(address, _NOBODY_4):
        return Grade.NEVER
    if address.is_link_local or _in(address, _METADATA_4):
        return Grade.SPECIAL
    if not address.is_global or _in(address, _PRIVATE_4):
        return Grade.PRIVATE
    return Grade.PUBLIC


def _grade_6(address: IPv6Address) -> Grade:
    if address in _NAT64 and address.scope_id is None:
        return _grade_4(IPv4Address(int(address) & _32_BITS))
    nobody = address.scope_id is not None or address.is_unspecified or address.is_multicast
    special = any(_disguises(address)) or address.is_link_local or _in(address, _METADATA_6)
    rules = (
        (nobody, Grade.NEVER),
        (address == _LOOPBACK_6 or address.is_site_local, Grade.PRIVATE),
        (special, Grade.SPECIAL),
        (address in _UNIQUE_LOCAL, Grade.PRIVATE),
        (address not in _GLOBAL_6, Grade.NEVER),
        (not address.is_global or _in(address, _DOCUMENTATION_6), Grade.PRIVATE),
    )
    return next((grade for holds, grade in rules if holds), Grade.PUBLIC)


def _disguises(address: IPv6Address) -> Iterator[bool]:
    yield _in(address, _DISGUISED)
    yield _in(address, _SPECIAL_6)
    yield int(address) >> 32 & _32_BITS in _ISATAP


def _in(
    address: IPv4Address | IPv6Address, networks: tuple[IPv4Network, ...] | tuple[IPv6Network, ...]
) -> bool:
    return any(address in network for network in networks)
