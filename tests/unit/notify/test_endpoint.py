"""What the settings of the endpoint may say."""

import base64
import re
import secrets
from collections.abc import Callable

import pytest
from daena_kms.errors import ConfigError
from daena_kms.notify import check_endpoint
from daena_kms.notify.endpoint import endpoint_from
from daena_kms.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.notify.receiver import new_secret, settings

SECRET = new_secret()


def test_none_is_set() -> None:
    """Without an endpoint there is nothing to check; empty counts as not set."""
    for environ in ({}, {"DAENA_KMS_ENDPOINT": ""}, {"DAENA_KMS_ENDPOINT_SECRET": "nonsense"}):
        assert endpoint_from(Settings.load(environ)) is None
        check_endpoint(Settings.load(environ))


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "authority"),
    [
        ("https://hooks.example", "hooks.example", 443, "/", "hooks.example"),
        ("HTTPS://Hooks.Example/In", "hooks.example", 443, "/In", "hooks.example"),
        ("https://hooks.example:443/", "hooks.example", 443, "/", "hooks.example"),
        ("https://a.b:8443?x=%20@y", "a.b", 8443, "/?x=%20@y", "a.b:8443"),
        ("https://xn--bcher-kva.example/a", "xn--bcher-kva.example", 443, "/a", None),
        ("https://1password.example/", "1password.example", 443, "/", None),
        ("https://hooks/", "hooks", 443, "/", None),
    ],
)
def test_a_url(url: str, host: str, port: int, target: str, authority: str | None) -> None:
    """Its parts, as the request will name them."""
    check_endpoint(settings(SECRET, url))
    found = endpoint_from(settings(SECRET, url))
    assert found is not None
    assert (found.host, found.port, found.target) == (host, port, target)
    assert found.authority == (authority or host)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example/", "does not begin with https://"),
        ("hooks.example", "does not begin with https://"),
        ("file:///etc/passwd", "does not begin with https://"),
        ("https://user:pass@hooks.example/", "a user name or a password"),
        ("https://user@hooks.example/", "a user name or a password"),
        ("https://hooks.example#@evil.example/", "a fragment"),
        ("https://hooks.example/#top", "a fragment"),
        ("https://hooks.example/a b", "not printable ASCII"),
        ("https://hooks.example/\r\nHost: evil.example", "a carriage return"),
        ("https://hooks.example/\n", "ends with a space or another invisible"),
        ("https://hooks.example\t/", "a line end or a control character"),
        ("https://hooks.example/\x00", "another invisible character"),
        ("https://hooks.example\\@evil.example/", "a backslash"),
        ("https://hööks.example/", "not printable ASCII"),
        ("https://127。0。0。1/", "not printable ASCII"),
        ("https:///path", "does not have the form"),
        ("https://", "does not have the form"),
        ("https://hooks.example:0/", "does not have the form"),
        ("https://hooks.example:65536/", "does not have the form"),
        ("https://hooks.example:/", "does not have the form"),
        ("https://hooks.example:443:80/", "does not have the form"),
        ("https://ho%6Fks.example/", "does not have the form"),
        ("https://[fe80::1%25eth0]/", "does not have the form"),
        ("https://hooks.example/" + "a" * 2_000, "does not have the form"),
        ("https://hooks.example./", "neither a name nor an address"),
        ("https://hooks..example/", "neither a name nor an address"),
        ("https://-hooks.example/", "neither a name nor an address"),
        ("https://" + "a" * 64 + ".example/", "neither a name nor an address"),
        ("https://2130706433/", "neither a name nor an address"),
        ("https://0x7f000001/", "neither a name nor an address"),
        ("https://0x7f.1/", "neither a name nor an address"),
        ("https://127.1/", "neither a name nor an address"),
        ("https://0177.0.0.1/", "neither a name nor an address"),
        ("https://127.0.0.01/", "neither a name nor an address"),
        ("https://1.2.3.4.5/", "neither a name nor an address"),
        ("https://256.1.1.1/", "neither a name nor an address"),
        ("https://hooks.0x/", "neither a name nor an address"),
        ("https://[0:0:0:0:0:0:0:1]/", "neither a name nor an address"),
        ("https://[1.2.3.4::]/", "neither a name nor an address"),
        ("https://127.0.0.1/", "is an address"),
        ("https://8.8.8.8/", "is an address"),
        ("https://[::1]/", "is an address"),
        ("https://[::ffff:7f00:1]/", "neither a name nor an address"),
        ("https://[::ffff:127.0.0.1]/", "is an address"),
        ("https://[2606:4700::1111]/", "is an address"),
        ("https://metadata.google.internal/", "a name of a cloud's metadata service"),
        ("https://METADATA.goog/", "a name of a cloud's metadata service"),
    ],
)
def test_what_is_refused(url: str, why: str) -> None:
    """With the reason and the setting, and without the URL: anything in it may be secret."""
    with pytest.raises(ConfigError, match=re.escape(why)) as refused:
        check_endpoint(settings(SECRET, url))
    text = str(refused.value)
    assert "DAENA_KMS_ENDPOINT" in text
    assert not any(part in text for part in ("user", "pass", "evil", "aaaa") if part not in why)


@pytest.mark.parametrize(
    ("url", "allow", "host"),
    [
        ("https://127.0.0.1:8443/", "127.0.0.1", "127.0.0.1"),
        ("https://8.8.8.8/", "other.example , 8.8.8.8 ,", "8.8.8.8"),
        ("https://[::1]/", "[::1]", "::1"),
        ("https://[FD12::5]:8443/", "fd12::5", "fd12::5"),
        ("https://169.254.171.9/", "169.254.171.9", "169.254.171.9"),
        ("https://metadata.goog/", "Metadata.Goog", "metadata.goog"),
    ],
)
def test_an_address_that_is_allowed_by_name(url: str, allow: str, host: str) -> None:
    """Exactly that one, in any case, in brackets or not."""
    found = endpoint_from(settings(SECRET, url, allow))
    assert found is not None
    assert found.host == host
    assert found.authority.startswith("[") == (":" in host)


@pytest.mark.parametrize("address", ["0.1.2.3", "255.255.255.255", "224.0.0.1"])
def test_an_address_where_nobody_is(address: str) -> None:
    """No list allows it."""
    with pytest.raises(ConfigError, match="not an address that a receiver can have"):
        check_endpoint(settings(SECRET, f"https://{address}/", address))


@pytest.mark.parametrize("entry", ["*.corp.example", "https://a.example", "a_b", "10.0.0.0/8", "1"])
def test_an_entry_that_allows_nothing(entry: str) -> None:
    """What would never match is refused, by its number."""
    with pytest.raises(ConfigError, match=r"entry 2 of DAENA_KMS_ENDPOINT_ALLOW .*wildcards"):
        check_endpoint(settings(SECRET, allow=f"a.example,{entry}"))


@pytest.mark.parametrize(("count", "size"), [(1, 24), (2, 32), (5, 64)])
def test_secrets(count: int, size: int) -> None:
    """One, or several while the secret changes, in the order in which they are written."""
    keys = [secrets.token_bytes(size) for _ in range(count)]
    text = "  ".join(f"whsec_{base64.b64encode(key).decode()}" for key in keys)
    found = endpoint_from(settings(text))
    assert found is not None
    assert found.secrets == tuple(keys)


@pytest.mark.parametrize(
    "make",
    [
        lambda key: base64.b64encode(key).decode(),
        lambda key: f"whsec_{base64.b64encode(key[:23]).decode()}",
        lambda key: f"whsec_{base64.b64encode(key + key[:1]).decode()}",
        lambda key: f"whsec_{base64.b64encode(key).decode()[:-1]}",
        lambda key: f"whsec_{base64.b64encode(key).decode()},",
        lambda key: f"whsk_{base64.b64encode(key).decode()}",
        lambda key: f"whsec_{key.hex()[:45]}",
        lambda key: f"{SECRET} {base64.b64encode(key).decode()}",
    ],
)
def test_a_secret_of_another_form(make: Callable[[bytes], str]) -> None:
    """It is named by its place and is shown nowhere, not even in part."""
    text = make(b"\xfb" + secrets.token_bytes(63))
    with pytest.raises(
        ConfigError, match=r"secret [12] of DAENA_KMS_ENDPOINT_SECRET does not have the form"
    ) as no:
        check_endpoint(settings(text))
    shown = f"{no.value} {no.value!r} {no.value.__context__!r}"
    assert not any(text[i : i + 12] in shown for i in range(6, len(text) - 12))


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), (" ".join([SECRET] * 6), 6), ("\n".join([SECRET] * 6), 6)]
)
def test_no_secret_or_too_many(text: str, count: int) -> None:
    """Nothing is sent without a signature."""
    with pytest.raises(ConfigError, match=f"holds {count} secrets, but every event must be signed"):
        check_endpoint(settings(text))


def test_path_query_and_secrets_stay_out_of_the_repr() -> None:
    """They are what gives access to many receivers."""
    found = endpoint_from(settings(SECRET, "https://hooks.example/T00/B00?token=t"))
    assert "T00" not in repr(found)
    assert "token" not in repr(found)
    assert SECRET[6:20] not in repr(found)
    assert repr(found.secrets[0] if found else b"")[2:-1] not in repr(found)


def test_the_addresses_are_checked_where_a_look_is_asked_for() -> None:
    """A host among whose addresses is a private one is refused as a whole."""
    asked = settings(SECRET)
    check_endpoint(asked, lambda _host, _port: ["93.184.215.14", "2606:4700::1"])
    with pytest.raises(ConfigError, match=r"hooks\.example is 10\.0\.0\.1, which is private"):
        check_endpoint(asked, lambda _host, _port: ["93.184.215.14", "10.0.0.1"])
    check_endpoint(settings(SECRET, allow="hooks.example"), lambda _host, _port: ["10.0.0.1"])
    check_endpoint(Settings.load({}), lambda _host, _port: ["10.0.0.1"])


@given(st.text(max_size=80), st.sampled_from(["", "https://", "https://hooks.example"]))
def test_any_text_is_an_endpoint_or_an_error(text: str, before: str) -> None:
    """What is taken is a plain host, and a target that ends no line."""
    if not (before + text):
        return
    try:
        found = endpoint_from(settings(SECRET, before + text))
    except ConfigError:
        return
    assert found is not None
    assert re.fullmatch(r"[a-z0-9.-]+", found.host)
    assert re.fullmatch(r"/[!-~]*", found.target)
    assert not set("#\\") & set(found.target)
