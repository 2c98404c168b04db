"""The log's objects in S3: with a checksum, only if absent, time-bounded, as whoever was named."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.reader import read_tail
from daena_kms.audit.verify import verify
from daena_kms.audit.writer import RunWriter
from daena_kms.errors import AuditUnavailable, DaenaKMSError
from daena_kms.objects import cloud
from daena_kms.objects.base import AlreadyExists, Objects

from infra.local.aws.s3 import Stored
from infra.local.aws.sim import BUCKET, REGION, AwsSimulator
from infra.local.faults import only
from tests.unit.logs import CONTEXT, Hands, action, write_run
from tests.worlds.memory import START

NAME = "log/2026/03/01/12/run/000000.json"
PUT, GET, LIST = (only("s3", name) for name in ("PutObject", "GetObject", "ListObjectsV2"))
PREFIX = "some/where/"
WHOLE = timedelta(minutes=1)


@pytest.fixture
def sim() -> Iterator[AwsSimulator]:
    """AWS with an empty bucket."""
    with AwsSimulator() as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _settings(sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", sim.url)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")


@pytest.fixture
def log() -> Objects:
    """The log in the bucket, below a prefix."""
    return open_log(f"s3://{BUCKET}/{PREFIX}")


def held(sim: AwsSimulator) -> dict[str, Stored]:
    """Return the bucket's objects."""
    return sim.s3.buckets[BUCKET]


def test_what_was_put_is_read_and_listed(log: Objects, sim: AwsSimulator) -> None:
    """An object is below the prefix with its bytes; what is not there is None or empty."""
    assert (log.get(NAME), log.entries("log/"), log.children("log/")) == (None, [], [])
    log.put_new(NAME, b"one")
    log.put_new("log/2025/03/01/12/run/000000.json", b"")
    assert held(sim)[PREFIX + NAME].body == b"one"
    assert log.get(NAME) == b"one"
    assert log.get("log/2025/03/01/12/run/000000.json") == b""
    assert [e.name for e in log.entries("log/")] == ["log/2025/03/01/12/run/000000.json", NAME]
    assert [e.name for e in log.entries("log/2026/")] == [NAME]
    assert log.children("log/") == ["2025", "2026"]


def test_more_objects_than_a_page_holds_are_listed(log: Objects, sim: AwsSimulator) -> None:
    """A listing goes on over the service's pages of a thousand."""
    for number in range(1001):
        held(sim)[f"{PREFIX}log/{number:06}/x.json"] = Stored(b"", sim.now())
    assert len(log.entries("log/")) == 1001
    assert len(log.children("log/")) == 1001


def test_the_bucket_refuses_a_put_without_checksum(sim: AwsSimulator) -> None:
    """The stand-in is as strict as a bucket with default retention, so the next test means much."""
    request = urllib.request.Request(f"{sim.url}/{BUCKET}/{NAME}", b"data", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert b"x-amz-checksum-" in caught.value.read()
    assert held(sim) == {}


def test_a_put_carries_a_checksum_and_creates_only_if_absent(
    log: Objects, sim: AwsSimulator
) -> None:
    """One request with If-None-Match, which the strict bucket takes once."""
    log.put_new(NAME, b"one")
    assert [(c.operation, c.params.get("IfNoneMatch")) for c in sim.calls] == [("PutObject", "*")]
    with pytest.raises(AlreadyExists):
        log.put_new(NAME, b"two")
    assert held(sim)[PREFIX + NAME].body == b"one"


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_lost_answer_is_settled_by_reading(log: Objects, sim: AwsSimulator, how: str) -> None:
    """The retry of a put that took effect finds the object, reads its own bytes and goes on."""
    writer = RunWriter(log, CONTEXT, Hands())
    sim.faults.fail_after(when=PUT, how=how)
    writer.intent([action()])
    writer.outcome([])
    counts = sim.calls.counts()
    assert (counts["PutObject"], counts["GetObject"]) == (3, 1)
    writer.close(read_tail(log), [], {})
    assert verify(log).ok


def test_somebody_elses_object_in_our_place_fails_closed(log: Objects, sim: AwsSimulator) -> None:
    """An object of that name with other bytes is not taken for ours, and the writer is done."""
    writer = RunWriter(log, CONTEXT, Hands())
    held(sim)[f"{PREFIX}{writer.prefix}000000.json"] = Stored(b"theirs", sim.now())
    with pytest.raises(
        AuditUnavailable, match=r"000000\.json exists already, and this run did not"
    ):
        writer.intent([action()])
    with pytest.raises(AuditUnavailable, match="failed earlier"):
        writer.outcome([])


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_short_failure_is_tried_again(log: Objects, sim: AwsSimulator, how: str) -> None:
    """A put that failed before it took effect is sent again."""
    sim.faults.fail_before(when=PUT, how=how)
    log.put_new(NAME, b"one")
    assert log.get(NAME) == b"one"


def test_throttling_is_waited_out(log: Objects, sim: AwsSimulator) -> None:
    """SlowDown is tried again."""
    sim.faults.throttle(1, when=PUT)
    log.put_new(NAME, b"one")
    assert sim.calls.counts()["PutObject"] == 2


def test_a_store_that_hangs_is_given_up(sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of a store that never answers ends in AuditUnavailable, within its limits."""
    assert cloud.TIMEOUT + cloud.RETRY_TIMEOUT < WHOLE
    monkeypatch.setattr(cloud, "TIMEOUT", timedelta(seconds=0.2))
    monkeypatch.setattr(cloud, "RETRY_TIMEOUT", timedelta(seconds=0.3))
    log = open_log(f"s3://{BUCKET}/{PREFIX}")
    sim.faults.hang(times=1000, when=only("s3", None))
    calls: list[Callable[[], object]] = [
        lambda: log.put_new(NAME, b""),
        lambda: log.get(NAME),
        lambda: log.entries("log/"),
        lambda: log.children("log/"),
    ]
    for call in calls:
        with pytest.raises(AuditUnavailable, match="s3://audit/some/where"):
            call()


def test_a_store_that_is_slow_but_answers_is_enough(log: Objects, sim: AwsSimulator) -> None:
    """Latency below the limit is no failure."""
    sim.set_latency(0.05)
    log.put_new(NAME, b"one")
    assert log.get(NAME) == b"one"


@pytest.mark.parametrize(
    ("operation", "call"),
    [("PutObject", "put_new"), ("GetObject", "get"), ("ListObjectsV2", "entries")],
)
def test_what_is_denied_is_reported(
    log: Objects, sim: AwsSimulator, operation: str, call: str
) -> None:
    """A caller without permission gets AuditUnavailable at once, in our words alone."""
    sim.faults.deny(operation)
    arguments = {"put_new": (NAME, b""), "get": (NAME,), "entries": ("log/",)}[call]
    with pytest.raises(AuditUnavailable, match="permissions") as caught:
        getattr(log, call)(*arguments)
    assert "not authorized" not in repr(caught.value) + str(caught.value)
    assert caught.value.__cause__ is None
    assert sim.calls.counts()[operation] == 1


def test_a_missing_bucket_is_reported(sim: AwsSimulator) -> None:
    """No such bucket is AuditUnavailable for a put and for a listing, never an empty log."""
    log = open_log("s3://no-such-bucket")
    with pytest.raises(AuditUnavailable, match="s3://no-such-bucket"):
        log.put_new(NAME, b"")
    with pytest.raises(AuditUnavailable, match="s3://no-such-bucket"):
        read_tail(log)
    assert {call.outcome for call in sim.calls} == {"NoSuchBucket"}


def test_missing_credentials_are_reported(
    sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials nothing is sent, and the error is one of ours."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    log = open_log(f"s3://{BUCKET}")
    with pytest.raises(DaenaKMSError):
        log.put_new(NAME, b"")
    assert len(sim.calls) == 0


def test_a_run_is_written_read_and_verified(log: Objects) -> None:
    """What the file log does, S3 does."""
    clock = Hands(START)
    write_run(log, clock)
    clock.pass_(minutes=5)
    prefix = write_run(log, clock, closing=False)
    assert list(read_tail(log).unreported) == [prefix]
    assert verify(log).ok
