"""Events of any shape, and what the handler does before the first one."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from daena_kms.errors import ConfigError, DaenaKMSError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functions.aws_world import HANDLER, Context, LambdaWorld

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.sampled_from(["/v1/health", "/v1/plan", "/v1/keys/key/rotate", "/v1/keys//rotate", "/"])


def either(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What belongs there, or anything at all."""
    return right | ANYTHING


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object that may lack any of its fields."""
    return st.fixed_dictionaries({}, optional={name: either(f) for name, f in fields.items()})


EVENTS = either(
    record(
        requestContext=record(
            http=record(method=st.sampled_from(["GET", "POST", "PUT"])),
            authorizer=record(iam=record(userArn=st.just("arn:aws:iam::1:user/a"))),
        ),
        rawPath=PATHS,
        body=st.text(max_size=30) | st.just('{"reason": "a"}'),
        isBase64Encoded=st.booleans(),
        headers=ANYTHING,
    )
)


def test_an_event_of_any_shape_is_answered(world: LambdaWorld) -> None:
    """Wrong types at any level give a status and a JSON document, never an exception."""
    handler = world.handler()

    @given(EVENTS)
    @settings(max_examples=150)
    def check(event: object) -> None:
        answer = handler.http(event, Context())
        json.dumps(answer)
        assert 200 <= answer["statusCode"] < 600
        assert isinstance(json.loads(answer["body"]), dict)

    check()
    # Nothing that was made up names a key that is there.
    assert world.changed() == set()


@pytest.mark.parametrize("event", [None, [], "x", 7, {}], ids=str)
def test_an_event_that_says_nothing_has_no_caller(world: LambdaWorld, event: object) -> None:
    """It is answered like a request that nobody signed."""
    handler = world.handler()

    assert handler.http(event, Context())["statusCode"] == 401
    assert len(world.sim.calls) == 0


def test_a_huge_event_is_answered_briefly(
    world: LambdaWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the answer nor the log repeats a megabyte."""
    huge = "x" * 1_000_000
    context = {
        "http": {"method": huge, "path": huge},
        "authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/a"}},
    }
    asked = {"rawPath": "/" + huge, "requestContext": context, "body": huge, "headers": {"a": huge}}

    answer = world.handler().http(asked, Context())

    assert answer["statusCode"] == 404
    assert len(answer["body"]) + len(capsys.readouterr().out) < 3_000


def test_importing_the_handler_builds_nothing() -> None:
    """No environment is needed, no SDK is loaded and no client made before the first event."""
    program = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("handler", {str(HANDLER)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert module.services.cache_info().currsize == 0
late = ("botocore.client", "botocore.session", "boto3", "obstore", "cryptography")
print([name for name in late if name in sys.modules])
"""
    kept = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=kept,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_services_are_made_once_for_a_process(world: LambdaWorld) -> None:
    """The second event uses the clients of the first."""
    handler = world.handler()
    handler.scheduled({}, Context())
    handler.scheduled({}, Context())

    assert handler.services.cache_info().misses == 1


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DAENA_KMS_AUDIT_URL", None, "Set DAENA_KMS_AUDIT_URL"),
        ("DAENA_KMS_AUDIT_URL", "ftp://bucket/prefix", "is not an address of the audit log"),
        ("DAENA_KMS_AUDIT_URL", "s3://", "is not an address of the audit log"),
        ("AWS_REGION", None, "Set AWS_REGION"),
        ("DAENA_KMS_ROTATE_AFTER", "90", "DAENA_KMS_ROTATE_AFTER is '90'"),
        ("AWS_PROFILE", "there-is-none", "Check the credentials"),
    ],
)
def test_a_broken_environment_is_named(
    world: LambdaWorld,
    variable: str,
    value: str | None,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The function says which setting to mend, and over HTTP no more than that it is one."""
    world.create("due", days=91)
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    handler = world.handler()

    with pytest.raises(DaenaKMSError, match=words) as caught:
        handler.scheduled({}, Context())
    context = {
        "http": {"method": "GET"},
        "authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/a"}},
    }
    plan = handler.http({"rawPath": "/v1/plan", "requestContext": context}, Context())
    health = handler.http({"rawPath": "/v1/health", "requestContext": context}, Context())

    assert isinstance(caught.value, ConfigError)
    assert plan["statusCode"] == 500
    assert health["statusCode"] == 503
    assert world.changed() == set()


def test_missing_credentials_are_named(world: LambdaWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads that it is the credentials, not the log's address, that are to be mended."""
    world.create("due", days=91)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(DaenaKMSError, match=r"[Cc]redentials"):
        world.handler().scheduled({}, Context())
    assert world.changed() == set()


def test_a_log_that_can_not_be_written_stops_everything(
    world: LambdaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a durable intent no key changes, and the invocation fails."""
    world.create("due", days=91)
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", "s3://no-such-bucket/daena")

    with pytest.raises(DaenaKMSError, match="the audit log s3://no-such-bucket/daena can't be"):
        world.handler().scheduled({}, Context())
    assert world.changed() == set()
