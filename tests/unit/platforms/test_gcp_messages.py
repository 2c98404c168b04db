"""What Google Cloud's requests and Pub/Sub messages ask for."""

from collections.abc import Iterator
from typing import Any

import pytest
from daena_kms.api.messages import Request, Response
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.errors import AccessDenied, ConfigError
from daena_kms.platforms.gcp import (
    RefusedEvent,
    acknowledged,
    answer_scheduler,
    asks_dry_run,
    rotating_secret,
)

from infra.local.gcp.sim import PROJECT, PROJECT_NUMBER, GcpSimulator
from tests.functions.gcp_world import JOB, message, plain, rotate_event


def scheduler(
    body: str | bytes | None, method: str = "POST", principal: str | None = JOB
) -> tuple[int, bool | None]:
    """The status of the answer to the scheduler, and whether a dry run was asked for."""
    asked: list[bool] = []

    def rotate(trigger: str, *, dry_run: bool) -> Response:
        assert trigger == "schedule"
        asked.append(dry_run)
        return Response(200, {})

    answer = answer_scheduler(Request(method, "/", body, principal), rotate)
    return answer.status, asked[0] if asked else None


@pytest.mark.parametrize("body", [None, "", b"", "{}", ' {"dry_run": false} ', '{"other": 1}'])
def test_a_schedule_means_a_run(body: str | bytes | None) -> None:
    """With nothing said, or with what is not for us."""
    assert scheduler(body) == (200, False)
    assert asks_dry_run(message({}, plain(body if isinstance(body, str) else ""))) is False


@pytest.mark.parametrize("body", ["{", "[]", "1", '{"dry_run": 0}', "x" * 10_001, "[" * 9_000])
def test_what_can_not_be_read_is_refused(body: str) -> None:
    """Rather than taken for a run."""
    assert scheduler(body) == (400, None)
    with pytest.raises(RefusedEvent, match="Send nothing, or a JSON object"):
        asks_dry_run(message({}, plain(body)))


def test_who_and_how_come_first() -> None:
    """An unverified caller learns nothing of the body, nor of the method."""
    assert scheduler("{", "GET", principal=None) == (401, None)
    assert scheduler("{", "GET") == (405, None)
    assert scheduler('{"dry_run": true}') == (200, True)
    assert asks_dry_run(message(None, plain('{"dry_run": true}'))) is True


@pytest.mark.parametrize(
    "data",
    [
        *(None, [], "message", {}, {"message": None}, {"message": []}),
        *({"message": {"data": text}} for text in ("%", "abc", "ü", 7, ["e30="], b"%")),
    ],
    ids=range(12),
)
def test_a_malformed_message_is_refused(data: object) -> None:
    """Whatever it was for."""
    for read in (asks_dry_run, lambda given: rotating_secret(given, _never())):
        with pytest.raises(RefusedEvent, match=r"does not hold a Pub/Sub message|not base64"):
            read(data)


def _never() -> Any:
    return None


@pytest.fixture
def sim() -> Iterator[GcpSimulator]:
    """A project with one managed key."""
    with GcpSimulator() as made:
        GCPSecretManagerAdapter(PROJECT, client=made.client()).create_key("some-key")
        yield made


@pytest.mark.parametrize("project", [PROJECT, PROJECT_NUMBER])
@pytest.mark.parametrize("named", [PROJECT, PROJECT_NUMBER])
def test_a_key_of_ours_is_found(sim: GcpSimulator, project: str, named: str) -> None:
    """Whether the setting, or the event, has the project's id or its number."""
    adapter = GCPSecretManagerAdapter(project, client=sim.client())
    event = rotate_event("some-key", secretId=f"projects/{named}/secrets/some-key")
    if (project, named) == (PROJECT_NUMBER, PROJECT):
        # Nothing that we may call tells the id of a project that we know by its number.
        with pytest.raises(RefusedEvent, match="not in this project"):
            rotating_secret(event, adapter)
    else:
        assert rotating_secret(event, adapter) == "some-key"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (message(), "not an event of Secret Manager"),
        (rotate_event("some-key", secretId="some-key"), "does not name a secret"),
        (rotate_event("other-key"), "not in this project"),
        (rotate_event("some-key", secretId="projects/1/secrets/some-key"), "not in this project"),
    ],
    ids=range(4),
)
def test_a_secret_that_is_not_here_is_refused(sim: GcpSimulator, event: object, words: str) -> None:
    """The error says what is wrong, and where to look."""
    adapter = GCPSecretManagerAdapter(PROJECT, client=sim.client())

    with pytest.raises(RefusedEvent, match=words) as caught:
        rotating_secret(event, adapter)

    assert isinstance(caught.value, ConfigError)
    assert "Set this topic on secrets of this project" in str(caught.value)


@pytest.mark.parametrize(
    "event",
    [
        message({"eventType": "TOPIC_CONFIGURED"}),
        rotate_event("some-key", eventType="SECRET_UPDATE"),
        rotate_event("Not_A_Key"),
    ],
    ids=range(3),
)
def test_what_is_not_for_us_is_passed_over(event: object, caplog: pytest.LogCaptureFixture) -> None:
    """Without a call, and with a line in the log."""
    caplog.set_level("INFO", "daena_kms")

    assert rotating_secret(event, _never()) is None
    assert "ignored an event" in caplog.text


def test_only_what_can_not_become_right_is_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    """An error of another kind is the platform's to see."""

    @acknowledged()
    def fail(error: Exception) -> None:
        raise error

    fail(RefusedEvent("on purpose", todo="Do nothing"))
    with pytest.raises(AccessDenied):
        fail(AccessDenied("on purpose"))

    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "refused an event: on purpose. Do nothing")
    ]
