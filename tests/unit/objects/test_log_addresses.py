"""Addresses that are not of their form are refused before any call; each place has one spelling."""

from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.errors import ConfigError
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.base import AUDIT, CLAIMS
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.login import GcpLogin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: What may be wrong with any address, as a change of one that is right.
KINDS = {
    "a space behind": "{0} ",
    "a space before": " {0}",
    "a space that does not break": "{0}\u00a0",
    "a space without width": "{0}\u200b",
    "a space inside": "{0}/a b",
    "a tab": "{0}/a\tb",
    "a line end": "{0}\n",
    "a control": "{0}/\x1b[2J",
    "an empty part": "{0}/a//b",
    "two slashes at the end": "{0}//",
    "a part that is a dot": "{0}/./b",
    "a part that leads up": "{0}/a/../b",
    "a part that leads up, last": "{0}/a/..",
    "an encoded slash": "{0}/a%2Fb",
    "an encoded way up": "{0}/%2e%2e/b",
    "a broken encoding": "{0}/a%zz",
    "an encoded control": "{0}/a%0Ab",
    "a query": "{0}?x=1",
    "an empty query": "{0}?",
    "a fragment": "{0}#x",
    "an empty fragment": "{0}#",
    "another case of the scheme": "UP",
    "no scheme": "CUT",
    "one slash": "ONE",
    "too long": "{0}/" + "x" * 2000,
}
RIGHT = {
    "s3": "s3://bucket/prefix",
    "gs": "gs://bucket/prefix",
    "az": "az://account/container/prefix",
    "file": "file:///var/log/daena",
}


def spelled(kind: str, right: str) -> str:
    """Return the address with something wrong."""
    scheme, _, rest = right.partition("://")
    other = {"UP": f"{scheme.upper()}://{rest}", "CUT": rest, "ONE": f"{scheme}:/{rest}"}
    return other.get(KINDS[kind]) or KINDS[kind].format(right)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", RIGHT)
def test_what_is_not_of_the_form_is_refused(scheme: str, kind: str) -> None:
    """With the form that is right. Nothing is called: there is nobody to call."""
    with pytest.raises(ConfigError) as refused:
        open_log(spelled(kind, RIGHT[scheme]))
    assert "file:///" in str(refused.value)
    assert str(refused.value).isprintable()


ENCODED = ["%20", "%41", "a%2Db", "~", "a|b", "a\\b", "{a}", "[a]", "a*", '"a"', "ä", "a^b", "`"]


@pytest.mark.parametrize("part", ENCODED)
@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_what_a_library_would_write_differently(scheme: str, part: str) -> None:
    """It encodes these, and so would make another log than other tools see."""
    with pytest.raises(ConfigError, match="is not an address of the audit log"):
        open_log(f"{RIGHT[scheme]}/{part}/log")


def test_a_space_in_a_folder_s_address() -> None:
    """The message says how one is written."""
    with pytest.raises(ConfigError, match="a space in it is %20"):
        open_log("file:///var/my log")


WRONG_PLACES = [
    *("s3://my bucket", "s3://My-Bucket", "s3://my_bucket", "s3://ab", "s3://" + "a" * 64),
    *("s3://-bucket", "s3://bucket-", "s3://a..b", "s3://a.-b", "s3://192.168.0.1", "s3://xn--b"),
    *("s3://bucket:443/x", "s3://b\u00fccket", "s3://[::1]/x", "s3://arn:aws:s3:::b", "s3://b%20b"),
    *("s3://", "s3:///x", "s3://.", "s3://bucket.", "s3://user:c4naRy@bucket/x", "s3://@bucket"),
    *("gs://My-Bucket", "gs://my bucket", "gs://ab", "gs://-bucket", "gs://bucket_", "gs://a..b"),
    *("gs://10.0.0.1", "gs://bucket:99999", "gs://" + "a" * 64, "gs://", "gs:///x", "gs://[x"),
    *("az://", "az://account", "az://account/", "az:///container", "az://ac/container"),
    *("az://Account/container", "az://ac_count/container", "az://ac count/container"),
    *("az://account:443/container", "az://127.0.0.1/container", "az://account./container"),
    *("az://account..net/container", "az://account.BLOB.core.windows.net/container"),
    *("az://account/Container", "az://account/a--b", "az://account/ab", "az://account/$root"),
    *("az://account/con_tainer", "az://account/" + "a" * 64, "az://[::1]/container"),
    *("file://", "file:///", "file:////", "file:x", "file:x/y", "file://host/x", "file:/var/log"),
    *(
        "file:///%",
        "file:///a%00b",
        "file:///%20a",
        "file:///a%20",
        "file:///a%ff",
        "file:///..%2fx",
    ),
    *(
        "",
        " ",
        "/",
        "/var/log",
        "log",
        "http://x/y",
        "https://bucket.s3.amazonaws.com",
        "ftp://x/y",
    ),
    *("://x", "s3", "s3:", "s3:bucket", "\x00", "s3://bu\x00cket", "\ud800", "a" * 5000),
]


@pytest.mark.parametrize("address", WRONG_PLACES, ids=lambda address: repr(address)[:60])
def test_what_is_no_place(address: str) -> None:
    """Buckets, accounts, containers and folders that no cloud or machine has."""
    for use in (AUDIT, CLAIMS):
        with pytest.raises(ConfigError) as refused:
            open_objects(address, use, Access())
        assert "c4naRy" not in str(refused.value)
        assert refused.value.todo
        assert str(refused.value).isprintable()


def place(address: str) -> Any:
    """Open it, as somebody who is never asked for."""
    login: Any = GcpLogin({}) if address.startswith("gs") else Login({})
    return open_objects(address, AUDIT, Access(region="eu-central-1", login=login))


SAME = {
    "s3://bucket": ["s3://bucket/"],
    "s3://bucket/a/b": ["s3://bucket/a/b/"],
    "gs://bucket.example.com/a": ["gs://bucket.example.com/a/"],
    "az://account/container": ["az://account/container/"],
    "az://account/container/a": ["az://account/container/a/"],
    "file:///var/log/daena": ["file:///var/log/daena/", "file://localhost/var/log/daena"],
    "file:///var/a%20b": ["file:///var/%61%20b"],
    "s3://bucket/a!$&'()+,-.:;=@_z/1": [],
    "gs://buck_et": [],
    "az://account.blob.core.chinacloudapi.cn/container/a": [],
    "az://account.z12.blob.storage.azure.net/container": [],
}


@pytest.mark.parametrize(("address", "others"), SAME.items())
def test_one_place_has_one_address(address: str, others: list[str]) -> None:
    """What may be spelled in two ways is one log, and says so."""
    for spelling in (address, *others):
        assert place(spelling).url == address


def test_a_folder_with_a_space_is_that_folder(tmp_path: Path) -> None:
    """Its address is the one that other tools write."""
    folder = tmp_path / "a b"
    log = open_log(folder.as_uri())
    log.put_new("log/x", b"x")
    assert (folder / "log" / "x").read_bytes() == b"x"
    assert log.url == folder.as_uri()


def opened(address: str) -> Any:
    """Open it, or return the refusal."""
    try:
        return place(address)
    except ConfigError as refused:
        return refused


addresses = st.one_of(
    st.text(),
    st.builds(
        lambda scheme, rest: f"{scheme}://{rest}",
        st.sampled_from(["s3", "gs", "az", "file", "S3", "file "]),
        st.text(alphabet=st.sampled_from("ab1-_./%?#@: \u00a0\n[]~\\ä"), max_size=30),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(addresses)
def test_any_text_is_a_place_or_refused(address: str) -> None:
    """No other error comes out, no panic, and a place's own address leads to the same place."""
    found = opened(address)
    if isinstance(found, ConfigError):
        assert str(found).isprintable()
    else:
        assert place(found.url).url == found.url
        assert ".." not in found.url.split("/")
        assert "//" not in found.url.partition("://")[2].lstrip("/")
