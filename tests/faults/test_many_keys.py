"""One run over many keys: failures stay apart, and limits are kept."""

from datetime import timedelta
from itertools import count

import pytest
from botocore.exceptions import ClientError
from daena_kms.audit.records import CLOSING, OUTCOME, decode
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.errors import DaenaKMSError
from daena_kms.rules.plan import Outcome

from infra.local.aws.sim import ACCESS_KEY, REGION
from infra.local.faults import only
from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.seconds import Seconds, time_runs_by

LATER = 91 * DAY


def make(world: FaultWorld, count: int) -> list[str]:
    """Create so many keys and return their ids."""
    ids = [f"key-{number:02}" for number in range(count)]
    for key_id in ids:
        world.operations().create(key_id)
    return ids


def records(world: FaultWorld) -> list[dict[str, object]]:
    """Return the records of the log, in the order of their names."""
    log = world.log
    return [decode(log.get(e.name) or b"", e.name) for e in log.entries("log/")]


def of_type(world: FaultWorld, kind: str, run_id: str | None) -> list[dict[str, object]]:
    """Return the records of one type of one run."""
    return [r for r in records(world) if r["type"] == kind and r["run"] == run_id]


def deny_one(aws: AwsWorld, key_id: str) -> None:
    """Let the store refuse to put a value into one secret, in the SDK's place."""

    def refuse(params: dict[str, object], **_: object) -> None:
        if params["SecretId"] == key_id:
            answer = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise ClientError(answer, "PutSecretValue")  # type: ignore[arg-type] # as botocore has it

    events = aws.clients.secrets.meta.events
    events.register("provide-client-params.secretsmanager.PutSecretValue", refuse)


def test_one_key_that_fails_stops_no_other(aws: AwsWorld) -> None:
    """A key that the store refuses is reported with the reason, and all others are rotated."""
    ids = make(aws, 12)
    deny_one(aws, ids[3])
    summary = aws.run(LATER)
    assert summary.failed == [ids[3]]
    assert summary.rotated == [i for i in ids if i != ids[3]]
    assert "AWS refused put_secret_value" in str(summary.errors[ids[3]])
    assert summary.overdue == 1
    assert not summary.ok
    with pytest.raises(DaenaKMSError, match=f"1 of 12 keys failed: {ids[3]}"):
        summary.raise_if_failed()
    again = aws.run(LATER + timedelta(hours=1))
    assert (again.failed, again.rotated) == ([ids[3]], [])


def test_a_store_that_denies_everything_fails_each_key(aws: AwsWorld) -> None:
    """Every key is tried and reported, and nothing changes."""
    ids = make(aws, 5)
    aws.sim.faults.deny("DescribeSecret")
    before = aws.state()
    assert aws.run(LATER).failed == ids
    assert aws.state() == before


def test_throttling_slows_and_does_not_fail(aws: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that throttles gets what it can take; the SDK tries again, and all is rotated."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.sim.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
    ids = make(aws, 2)
    adapter = AWSKMSAdapter(REGION, aws.kms_key)
    aws.sim.faults.throttle(1, when=only("secretsmanager", "PutSecretValue"))
    aws.sim.faults.throttle(1, when=only("kms", None))
    summary = run(adapter, aws.log, now=aws.began + LATER, workers=2)
    assert (summary.rotated, summary.failed) == (ids, [])
    assert aws.sim.calls.counts()["PutSecretValue"] == len(ids) + 1


def test_a_deadline_that_is_over_leaves_everything(world: FaultWorld) -> None:
    """With no time left nothing is begun; all that is due is left, and the log says so."""
    ids = make(world, 4)
    before = world.state()
    summary = world.run(LATER, deadline=0.0)
    assert (summary.left, summary.rotated, summary.failed) == (ids, [], [])
    assert summary.overdue == 4
    assert world.state() == before
    assert world.run(LATER + timedelta(minutes=1)).rotated == ids
    assert world.verify().ok


@pytest.mark.parametrize("workers", [1, 3])
def test_a_deadline_in_the_middle(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """What was begun is ended; the rest is left, recorded, and first in the next run."""
    ids = make(aws, 12)
    seconds, taken = Seconds(), count(1)
    time_runs_by(seconds, monkeypatch)

    def slow(**_: object) -> None:
        if next(taken) > 4:
            seconds.now += 10

    aws.clients.secrets.meta.events.register("before-call.secretsmanager.PutSecretValue", slow)
    summary = aws.run(LATER, deadline=5, workers=workers)
    assert summary.left
    assert summary.rotated
    assert sorted(summary.rotated + summary.left) == ids
    outcomes = of_type(aws, OUTCOME, summary.run_id)
    results = [r for o in outcomes for r in o["results"]]  # type: ignore[attr-defined] # a list
    assert sorted(r["key"] for r in results if r["result"] == Outcome.DONE) == summary.rotated
    assert sorted(r["key"] for r in results if r["result"] == Outcome.LEFT) == summary.left
    assert len(of_type(aws, CLOSING, summary.run_id)) == 1
    assert aws.run(LATER + timedelta(minutes=1)).rotated == summary.left
    assert aws.verify().ok
