"""How keys in a cloud's KMS are named, and where they are then called."""

import pytest
from daena_kms.errors import ConfigError
from daena_kms.sdk.aws.signing import KmsKey as AwsKey
from daena_kms.sdk.azure.signing import VaultKey
from daena_kms.sdk.gcp.signing import KmsKey as GcpKey

ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-west-1:111122223333:key/{ID}"
VERSION = "0123456789abcdef" * 2
URL = f"https://name.vault.azure.net/keys/seal/{VERSION}"
NAME = "projects/p1/locations/global/keyRings/r_1/cryptoKeys/k-1/cryptoKeyVersions/12"


@pytest.mark.parametrize(
    "arn",
    [
        ARN,
        ARN.replace(ID, f"mrk-{VERSION}"),
        ARN.replace(f"key/{ID}", "alias/team/seal_1"),
        ARN.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-west-1", "us-gov-west-1"),
        ARN.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1"),
    ],
)
def test_full_arns_of_keys_and_aliases_are_taken(arn: str) -> None:
    """Each partition has its own, and nothing is called for them."""
    assert AwsKey(arn).arn == arn


@pytest.mark.parametrize(
    "arn",
    [
        *("", ID, "alias/seal", f"key/{ID}", f"{ARN} ", f"{ARN}\n", f"{ARN}/..", ARN.upper()),
        ARN.replace(":kms:", ":s3:"),
        ARN.replace("111122223333", "1111"),
        ARN.replace(":eu-west-1:", "::"),
        ARN.replace(":eu-west-1:", ":evil.example:"),
        ARN.replace(":eu-west-1:", ":-eu:"),
        ARN.replace(ID, "*"),
        ARN.replace(f"key/{ID}", "alias/" + "x" * 251),
    ],
)
def test_nothing_else_is_an_arn(arn: str) -> None:
    """The error says the form that is."""
    with pytest.raises(ConfigError, match=r"arn:aws:kms:REGION:ACCOUNT:key/ID|eu-central-1"):
        AwsKey(arn)


def test_a_session_of_something_else() -> None:
    """It is refused before any call."""
    with pytest.raises(ConfigError, match=r"must be a boto3\.Session"):
        AwsKey(ARN, session="default")  # type: ignore[arg-type]  # what is tested


def test_the_region_is_the_arn_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever region is set, the call goes to the key's, in its partition."""
    for name, text in {
        "REGION": "us-east-1",
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    client = AwsKey(ARN)._aws.client("kms")
    assert client.meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"
    there = AwsKey(ARN.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1"))
    assert there._aws.client("kms").meta.endpoint_url == "https://kms.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("size", [0, 4097])
def test_a_text_that_kms_does_not_take(size: int) -> None:
    """It is refused before any call."""
    with pytest.raises(ConfigError, match=r"1 to 4,096 bytes"):
        AwsKey(ARN).sign(b"x" * size)


@pytest.mark.parametrize(
    ("url", "cloud"),
    [
        (URL, "public"),
        (URL.replace("vault.azure.net", "vault.azure.cn"), "china"),
        (URL.replace("vault.azure.net", "vault.usgovcloudapi.net"), "us government"),
        (URL.replace("azure.net/", "azure.net:443/"), "public"),
    ],
)
def test_addresses_of_versions_are_taken(url: str, cloud: str) -> None:
    """The login is in the vault's cloud."""
    key = VaultKey(url, {})
    assert key.url == url
    assert key._vault._login.cloud == cloud


@pytest.mark.parametrize(
    "url",
    [
        *("", "seal", URL.replace("https", "http"), f"{URL}/", f"{URL}?x", f"{URL}\n", f"{URL}0"),
        URL.replace("/keys/", "/secrets/"),
        URL.replace("name.vault", "user:password@name.vault"),
        URL.replace("seal", "se_al"),
        URL.replace("seal", ".."),
        URL.replace(VERSION, "latest"),
        URL.replace("azure.net", "azure.net:0"),
        URL.replace(f"/{VERSION}", ""),
    ],
)
def test_nothing_else_is_the_address_of_a_version(url: str) -> None:
    """The error says the form that is, and quotes nothing that may be a password."""
    with pytest.raises(ConfigError) as caught:
        VaultKey(url, {})
    assert "https://" in str(caught.value)
    assert "password" not in str(caught.value)


def test_a_key_without_its_version() -> None:
    """What is missing is named: the newest version would change without a word."""
    with pytest.raises(ConfigError, match=r"names no version.*keys/NAME/VERSION"):
        VaultKey(URL.removesuffix(f"/{VERSION}"), {})


@pytest.mark.parametrize(
    "name", [NAME, NAME.replace("p1", "123456789012"), NAME.replace("p1", "example.com:p1")]
)
def test_names_of_key_versions_are_taken(name: str) -> None:
    """A project is named by its id or its number."""
    assert GcpKey(name, {}).name == name


@pytest.mark.parametrize(
    "name",
    [
        *("", f"/{NAME}", f"{NAME}/", f"{NAME}\n", NAME.upper(), f"{NAME}:asymmetricSign"),
        NAME.replace("/12", "/0"),
        NAME.replace("/12", "/latest"),
        NAME.replace("/cryptoKeyVersions/12", ""),
        NAME.replace("p1", ".."),
        NAME.replace("r_1", "r 1"),
        f"https://cloudkms.googleapis.com/v1/{NAME}",
    ],
)
def test_nothing_else_is_the_name_of_a_key_version(name: str) -> None:
    """The error says the form that is."""
    with pytest.raises(ConfigError, match=r"cryptoKeys/K/cryptoKeyVersions/V"):
        GcpKey(name, {})


def test_a_token_goes_only_where_nobody_reads_it() -> None:
    """By TLS, or to this machine."""
    for endpoint in ("http://kms.example.com", "ftp://x", "https://u:p@kms.example.com"):
        with pytest.raises(ConfigError, match="GCP_KMS_ENDPOINT"):
            GcpKey(NAME, {"GCP_KMS_ENDPOINT": endpoint})
    for endpoint in ("https://kms.example.com/", "http://127.0.0.1:8080", "http://[::1]:80"):
        assert GcpKey(NAME, {"GCP_KMS_ENDPOINT": endpoint}).name == NAME


def test_the_host_is_the_universe_s() -> None:
    """Google's own, or the domain that is set."""
    assert (
        GcpKey(NAME, {})._reader._address == f"https://cloudkms.googleapis.com/v1/{NAME}/publicKey"
    )
    other = GcpKey(NAME, {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "apis-s3ns.fr"})
    assert other._signer._address == f"https://cloudkms.apis-s3ns.fr/v1/{NAME}:asymmetricSign"
