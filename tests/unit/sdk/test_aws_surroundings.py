"""What AWS's SDK finds around it: empty variables, broken files, credentials that are none."""

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, HTTPClientError, SSLError
from botocore.parsers import ResponseParserError
from botocore.session import Session
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.aws.client import AWS, credentials_of
from daena_kms.sdk.errors import WrongClock

if TYPE_CHECKING:
    from botocore.client import BaseClient

REGION = "eu-central-1"
CANARY = "c4naRy"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)


EMPTY = [
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION"),
    *("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_DEFAULTS_MODE", "AWS_ENDPOINT_URL"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_METADATA_SERVICE_TIMEOUT"),
    *("REQUESTS_CA_BUNDLE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_REQUEST_CHECKSUM_CALCULATION"),
]


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_variable_is_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK is told so, without a change of the process's environment."""
    monkeypatch.setenv(name, "")
    before = dict(os.environ)
    client: Any = AWS(REGION, None, {}).client("kms")
    assert client.meta.endpoint_url == f"https://kms.{REGION}.amazonaws.com"
    assert client._endpoint.http_session._verify is True
    assert dict(os.environ) == before


def test_all_of_them_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a template sets them that always writes every variable."""
    for name in EMPTY:
        monkeypatch.setenv(name, "")
    adapter = AWSKMSAdapter(region=REGION)
    assert adapter.aws.region == REGION
    assert adapter.aws.client("secretsmanager").meta.region_name == REGION


@pytest.mark.parametrize(
    "key", ["a b", "key\n", "alias/ä", "arn:aws:kms:x", "", "\x1b", "a" * 3000]
)
def test_a_kms_key_that_is_none(key: str) -> None:
    """It is refused before any call; nothing is no key at all."""
    if not key:
        AWSKMSAdapter(region=REGION, key_id=key)
        return
    with pytest.raises(ConfigError, match=r"not a KMS key.*AWS_KMS_KEY_ID") as refused:
        AWSKMSAdapter(region=REGION, key_id=key)
    assert str(refused.value).isprintable()


FILES = {
    "no section": "region = x\n",
    "not text": b"\xff\xfe\x00",
    "two of one name": "[default]\na = 1\na = 2\n",
    "a broken part": "[default]\ns3 =\n  addressing_style\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_broken_file(text: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a setting to mend, and never the network."""
    (tmp_path / "config").write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(ConfigError) as refused:
        AWS(REGION, None, {}).client("kms")
    assert "network" not in str(refused.value)


PRINTS = {
    "no JSON": f"print('{CANARY}')",
    "nothing": "",
    "another form": "print('[1]')",
    "no key": "print('{\"Version\": 1}')",
    "a failure": f"raise SystemExit('{CANARY}')",
    "odd keys": 'print(\'{"Version": 1, "AccessKeyId": "a\\\\nb", "SecretAccessKey": "c"}\')',
}


@pytest.mark.parametrize("prints", PRINTS.values(), ids=PRINTS)
def test_a_program_that_gives_no_credentials(
    prints: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it prints is not repeated."""
    (tmp_path / "program.py").write_text(prints)
    command = f"{sys.executable} -S -E {tmp_path / 'program.py'}"
    check_refused(f"credential_process = {command}", tmp_path, monkeypatch)


def test_a_code_that_nobody_can_type() -> None:
    """A profile that asks for an MFA code, where there is no terminal: its question has no answer.

    botocore asks with getpass, which reads standard input then.
    """

    class Asking(Session):
        def get_credentials(self) -> None:
            raise EOFError

    with pytest.raises(ConfigError, match="asks for an MFA code, and there is no terminal"):
        credentials_of(Asking())


def test_a_program_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a program that nobody may run."""
    check_refused("credential_process = /no/such/program", tmp_path, monkeypatch)
    check_refused(f"credential_process = {tmp_path}", tmp_path, monkeypatch)


def check_refused(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect an error about credentials from a profile with that setting."""
    (tmp_path / "config").write_text(f"[default]\n{setting}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(ConfigError, match="no usable AWS credentials") as refused:
        AWS(REGION, None, {}).call("kms", "generate_random", None, NumberOfBytes=1)
    assert CANARY not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert "network" not in str(refused.value)


@pytest.mark.parametrize("file", ["missing", "folder"])
def test_a_token_file_that_is_none(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token of a workload, in a cluster or a pipeline, is not where the variable says."""
    (tmp_path / "folder").mkdir()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / file))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/rotator")
    with pytest.raises(ConfigError, match=r"no usable AWS credentials.*token file"):
        AWS(REGION, None, {}).client("kms")


def failing(error: Exception) -> AWS:
    """Return an AWS whose every call raises that."""

    class Failing:
        def __getattr__(self, name: str) -> Callable[..., object]:
            def fail(**_arguments: object) -> object:
                raise error

            return fail

    return AWS(REGION, None, {"secretsmanager": cast("BaseClient", Failing())})


def caught(error: Exception) -> DaenaKMSError:
    """Return our error for one of a call."""
    with pytest.raises(DaenaKMSError) as refused:
        failing(error).call("secretsmanager", "put_secret_value", "some-key")
    assert CANARY not in repr(refused.value)
    assert refused.value.__context__ is None
    return refused.value


def answer(code: str, message: str = CANARY, **headers: str) -> ClientError:
    """Return a refusal with headers."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPHeaders": headers},
    }
    return ClientError(response, "PutSecretValue")


SKEWED = "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("RequestTimeTooSkewed", CANARY),
        ("RequestExpired", CANARY),
        ("RequestInTheFuture", CANARY),
        ("SignatureDoesNotMatch", SKEWED),
        ("InvalidSignatureException", SKEWED),
        ("InvalidSignatureException", "Signature not yet current: 1 is still later than 2"),
        ("AuthFailure", "AWS was not able to validate: the signature has expired"),
    ],
)
def test_a_clock_that_is_wrong(code: str, message: str) -> None:
    """It is said so, with the measure of the refusal itself."""
    theirs = datetime.now(UTC) - timedelta(hours=1)
    error = caught(answer(code, message, date=format_datetime(theirs, usegmt=True)))
    assert isinstance(error, WrongClock)
    assert "this machine's clock is wrong: it is 36" in str(error)
    assert "ahead of theirs. Set this machine's clock by NTP" in str(error)
    assert error.theirs == theirs.replace(microsecond=0)
    assert "clock is wrong. Set" in str(caught(answer(code, message)))


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidSignatureException"])
@pytest.mark.parametrize("date", ["", "nonsense", "now"])
def test_a_signature_that_is_wrong(code: str, date: str) -> None:
    """A wrong key is not a wrong clock, where the answer's time is ours."""
    when = format_datetime(datetime.now(UTC), usegmt=True) if date == "now" else date
    error = caught(answer(code, date=when))
    assert type(error) is AccessDenied
    assert "does not accept the credentials" in str(error)


def test_a_signature_that_the_time_explains() -> None:
    """Also where the text says nothing, the answer's time does."""
    theirs = datetime.now(UTC) + timedelta(minutes=20)
    date = format_datetime(theirs, usegmt=True)
    assert "behind theirs" in str(caught(answer("SignatureDoesNotMatch", date=date)))


@pytest.mark.parametrize(
    ("code", "headers", "named"),
    [
        ("PermanentRedirect", {"x-amz-bucket-region": "eu-west-3"}, "Set AWS_REGION to eu-west-3"),
        ("301", {"x-amz-bucket-region": "eu-west-3"}, "(eu-west-3)"),
        ("AuthorizationHeaderMalformed", {}, "Set AWS_REGION to the bucket's region"),
        ("IllegalLocationConstraintException", {"x-amz-bucket-region": "\x1b[2J"}, "the bucket's"),
    ],
)
def test_a_bucket_in_another_region(code: str, headers: dict[str, str], named: str) -> None:
    """The region is named where the answer names it."""
    error = caught(answer(code, **headers))
    assert isinstance(error, ConfigError)
    assert "the bucket is in another region" in str(error)
    assert named in str(error)
    assert str(error).isprintable()


def test_a_code_that_is_none() -> None:
    """What a stranger's endpoint answers is not shown."""
    error = caught(answer(f"\x1b[2J{CANARY}"))
    assert "(no code)" in str(error)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            SSLError(endpoint_url="x", error=OSError("[SSL: CERTIFICATE_VERIFY_FAILED]")),
            *(StoreUnavailable, r"certificate of AWS's endpoint is not trusted.*AWS_CA_BUNDLE"),
        ),
        (SSLError(endpoint_url="x", error=OSError("WRONG")), StoreUnavailable, "no TLS connection"),
        (HTTPClientError(error=OSError(CANARY)), StoreUnavailable, "did not answer.*the network"),
        (HTTPClientError(error=ValueError(CANARY)), StoreUnavailable, "could not send"),
        (
            RuntimeError("Credentials were refreshed, but the refreshed credentials are expired."),
            *(ConfigError, "the login has expired"),
        ),
        (FileNotFoundError(CANARY), ConfigError, "what they come from can't be used"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, CANARY), StoreUnavailable, "cut off or damaged"),
        (ResponseParserError(CANARY), StoreUnavailable, "cut off or damaged"),
        (ConnectionResetError(CANARY), StoreUnavailable, "did not answer"),
    ],
)
def test_what_is_no_answer(error: Exception, kind: type[DaenaKMSError], words: str) -> None:
    """A certificate, a login and a file are told apart from the network."""
    found = caught(error)
    assert type(found) is kind
    assert re.search(words, str(found))


def test_a_defect_is_not_hidden() -> None:
    """What no SDK says of itself shows as what it is."""
    for defect in (RuntimeError("x"), KeyError("x"), AttributeError("x")):
        with pytest.raises(type(defect)):
            failing(defect).call("secretsmanager", "put_secret_value", "some-key")
