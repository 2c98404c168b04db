"""Where the log's bucket is reached: by the SDK's own settings and rules."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointResolutionError
from botocore.session import Session
from daena_kms.errors import ConfigError
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.endpoint import S3Endpoint, configured_endpoint, s3_endpoint
from urllib3.response import HTTPResponse

BUCKET = "my-log"


@pytest.fixture(autouse=True)
def _no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)


@pytest.fixture
def session() -> Session:
    """The SDK's session in the environment as it is."""
    return AWS(None, None, {}).session()


def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Session:
    """Write a person's configuration, and return the session of its default profile."""
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return AWS(None, None, {}).session()


PLACES = {
    "eu-central-1": f"https://{BUCKET}.s3.eu-central-1.amazonaws.com",
    "us-east-1": f"https://{BUCKET}.s3.us-east-1.amazonaws.com",
    "cn-northwest-1": f"https://{BUCKET}.s3.cn-northwest-1.amazonaws.com.cn",
    "eusc-de-east-1": f"https://{BUCKET}.s3.eusc-de-east-1.amazonaws.eu",
    "us-gov-west-1": f"https://{BUCKET}.s3.us-gov-west-1.amazonaws.com",
    "us-iso-east-1": f"https://{BUCKET}.s3.us-iso-east-1.c2s.ic.gov",
    "us-isob-east-1": f"https://{BUCKET}.s3.us-isob-east-1.sc2s.sgov.gov",
    "xx-new-1": f"https://{BUCKET}.s3.xx-new-1.amazonaws.com",
}


@pytest.mark.parametrize(("region", "url"), PLACES.items())
def test_every_partition_has_its_domain(session: Session, region: str, url: str) -> None:
    """China, the EU's sovereign cloud, GovCloud, the isolated ones, and a region of tomorrow."""
    assert s3_endpoint(session, region, BUCKET) == S3Endpoint(url, region, virtual=True)


VARIANTS = [
    ("AWS_USE_FIPS_ENDPOINT", "us-gov-east-1", "s3-fips.us-gov-east-1.amazonaws.com"),
    ("AWS_USE_FIPS_ENDPOINT", "eusc-de-east-1", "s3-fips.eusc-de-east-1.amazonaws.eu"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "eu-west-3", "s3.dualstack.eu-west-3.amazonaws.com"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "cn-north-1", "s3.dualstack.cn-north-1.amazonaws.com.cn"),
]


@pytest.mark.parametrize(("variable", "region", "host"), VARIANTS)
def test_fips_and_dual_stack(
    monkeypatch: pytest.MonkeyPatch, variable: str, region: str, host: str
) -> None:
    """As for every other client of the SDK."""
    monkeypatch.setenv(variable, "true")
    session = AWS(None, None, {}).session()
    assert s3_endpoint(session, region, BUCKET).url == f"https://{BUCKET}.{host}"


def test_settings_of_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that S3 alone has."""
    text = "[default]\nuse_fips_endpoint = true\ns3 =\n  use_dualstack_endpoint = true\n"
    session = config(tmp_path, monkeypatch, text)
    host = "s3-fips.dualstack.eu-west-1.amazonaws.com"
    assert s3_endpoint(session, "eu-west-1", BUCKET).url == f"https://{BUCKET}.{host}"
    session = config(tmp_path, monkeypatch, "[default]\ns3 =\n  addressing_style = path\n")
    place = s3_endpoint(session, "eu-west-1", BUCKET)
    assert place == S3Endpoint("https://s3.eu-west-1.amazonaws.com", "eu-west-1", virtual=False)


def test_a_bucket_with_dots(session: Session) -> None:
    """No certificate covers its name in front of the host, so it is part of the path."""
    place = s3_endpoint(session, "eu-west-1", "my.log")
    assert (place.url, place.virtual) == ("https://s3.eu-west-1.amazonaws.com", False)


def test_what_a_partition_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a setting to mend, before any call."""
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    with pytest.raises(ConfigError, match=r"no endpoint for these settings.*AWS_USE_FIPS"):
        s3_endpoint(AWS(None, None, {}).session(), "cn-north-1", BUCKET)


FILE = """
[default]
services = mine
endpoint_url = https://everything.example

[services mine]
s3 =
  endpoint_url = https://s3.example/path
kms =
  endpoint_url = https://kms.example
secrets_manager =
  endpoint_url = https://secrets.example

[services other]
kms =
  endpoint_url = https://kms.example
"""


def test_endpoints_in_the_sdks_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's variable, the variable for all, the profile's services, the profile."""
    session = config(tmp_path, monkeypatch, FILE.replace("= mine", "= other"))
    assert configured_endpoint(session, "s3") == "https://everything.example"
    session = config(tmp_path, monkeypatch, FILE)
    assert configured_endpoint(session, "s3") == "https://s3.example/path"
    assert configured_endpoint(session, "kms") == "https://kms.example"
    assert configured_endpoint(session, "secretsmanager") == "https://secrets.example"
    assert configured_endpoint(session, "sts") == "https://everything.example"
    place = s3_endpoint(session, "eu-west-1", BUCKET)
    assert place == S3Endpoint("https://s3.example/path", "eu-west-1", virtual=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/")
    assert configured_endpoint(session, "s3") == "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://[::1]:2")
    assert configured_endpoint(session, "s3") == "http://[::1]:2"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    assert configured_endpoint(session, "s3") == "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert configured_endpoint(AWS(None, None, {}).session(), "s3") is None


def test_the_same_endpoint_as_the_stores_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we look up is what the SDK's own client looks up."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    session = config(tmp_path, monkeypatch, FILE)
    for variable in (None, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"):
        if variable is not None:
            monkeypatch.setenv(variable, f"https://{len(variable)}.example")
        aws = AWS("eu-west-1", None, {})
        for service in ("secretsmanager", "kms", "s3"):
            assert aws.client(service).meta.endpoint_url == configured_endpoint(session, service)


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1"])
@pytest.mark.parametrize("variable", ["AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT", "X"])
def test_the_same_place_as_the_sdks_own_client(
    region: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the SDK would ask for a bucket, or the same refusal."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.setenv(variable, "true")
    aws = AWS(region, None, {})
    client: Any = aws.client("s3")
    asked: list[str] = []

    def answer(request: Any, **_given: object) -> AWSResponse:
        asked.append(request.url)
        headers: Any = {}
        return AWSResponse(
            request.url, 404, headers, HTTPResponse(io.BytesIO(), preload_content=False)
        )

    client.meta.events.register("before-send.s3", answer)
    with pytest.raises((ClientError, EndpointResolutionError)):
        client.get_object(Bucket=BUCKET, Key="k")
    if asked:
        assert asked == [f"{s3_endpoint(aws.session(), region, BUCKET).url}/k"]
    else:
        with pytest.raises(ConfigError):
            s3_endpoint(aws.session(), region, BUCKET)


def test_what_the_sdk_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that only the SDK refuses is a setting as well, and never credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://under_score")
    with pytest.raises(ConfigError, match=r"a setting of the AWS SDK is wrong \(ValueError\)"):
        AWS("eu-west-1", None, {}).client("kms")


def test_a_section_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as a setting."""
    session = config(tmp_path, monkeypatch, "[default]\nservices = nowhere\n")
    with pytest.raises(ConfigError, match=r"section of services.*~/.aws/config"):
        s3_endpoint(session, "eu-west-1", BUCKET)


WRONG = [
    *("127.0.0.1:1", "http://", "https://a b", "https://host ", "https://host:99999", "ftp://x"),
    *("https://user:c4naRy@host", "https://host?x", "https://host#x", "https://host:0"),
    *(
        "https://[::1",
        "https://[nothing]",
        "https://h\u00f6st",
        "https://host//x",
        "https://h/../x",
    ),
]


@pytest.mark.parametrize("url", WRONG)
def test_an_endpoint_that_is_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused by the variable's name, and not quoted; for the store as for the log."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    aws = AWS("eu-west-1", None, {})
    for use in (lambda: s3_endpoint(aws.session(), "eu-west-1", BUCKET), lambda: aws.client("kms")):
        with pytest.raises(ConfigError, match=r"AWS_ENDPOINT_URL is not the URL") as refused:
            use()
        assert "c4naRy" not in str(refused.value)


@pytest.mark.parametrize(
    "region",
    ["eu central-1", "eu-west-1 ", "EU-CENTRAL-1", "eu_central_1", "x\n", "1", "-a", "ä"],
)
def test_a_region_that_is_none(region: str, session: Session) -> None:
    """It would become part of a host's name and of a signature."""
    with pytest.raises(ConfigError, match="is not a region") as refused:
        s3_endpoint(session, region, BUCKET)
    assert str(refused.value).isprintable()
    with pytest.raises(ConfigError, match="is not a region"):
        AWS(region, None, {}).client("kms")


def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the variable, or of the profile, or of requests; an empty variable is none."""
    made = [trustme.CA().cert_pem.bytes() for _ in range(3)]
    for number, pem in enumerate(made):
        (tmp_path / f"{number}.pem").write_bytes(pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "2.pem"))
    session = config(tmp_path, monkeypatch, "[default]\nregion = eu-west-1\n")
    assert s3_endpoint(session, "eu-west-1", BUCKET).certificates == made[2]
    session = config(tmp_path, monkeypatch, f"[default]\nca_bundle = {tmp_path / '1.pem'}\n")
    assert s3_endpoint(session, "eu-west-1", BUCKET).certificates == made[1]
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "0.pem"))
    session = AWS(None, None, {}).session()
    assert s3_endpoint(session, "eu-west-1", BUCKET).certificates == made[0]
    # A folder, as requests takes it, with a link to the same certificate and something else.
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.pem").write_bytes(made[0])
    (tmp_path / "folder" / "b.0").symlink_to("a.pem")
    (tmp_path / "folder" / "README").write_text("nothing")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "folder"))
    session = AWS(None, None, {}).session()
    assert s3_endpoint(session, "eu-west-1", BUCKET).certificates == made[0]
    monkeypatch.setenv("AWS_CA_BUNDLE", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    session = AWS(None, None, {}).session()
    assert s3_endpoint(session, "eu-west-1", BUCKET).certificates is None


@pytest.mark.parametrize("content", [None, b"", b"c4naRy", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_certificates_that_are_none(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing, or holds none, is a setting; the SDK would blame the network."""
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    aws = AWS("eu-west-1", None, {})
    for use in (lambda: s3_endpoint(aws.session(), "eu-west-1", BUCKET), lambda: aws.client("kms")):
        with pytest.raises(ConfigError, match=r"AWS_CA_BUNDLE.*certificates") as refused:
            use()
        assert "c4naRy" not in str(refused.value)
