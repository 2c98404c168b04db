"""How many calls a rotation on AWS takes, and how many audit objects."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.http import Request, respond

from tests.bench.figures import Figure, Must
from tests.bench.surroundings import AUDIT_URL, new_adapter, surrounded
from tests.stores.aws_sim import AwsSimulator

_ON_DEMAND, _PER_ROTATION, _OBJECTS = 4, 3.1, 0.2
_KEYS, _RUNS = 100, 3
#: The default interval, 90 days, and a day.
_LATER = timedelta(days=91)
_LISTING = "ListSecrets"


def measure() -> Iterator[Figure]:
    """Yield the figures of one key on demand, then those of a hundred due keys, run after run."""
    with AwsSimulator() as sim, surrounded(sim.url):
        adapter = new_adapter(sim.url)
        yield from _on_demand(sim, adapter)
    for spec, context in ((None, ""), ("token", "last run's are retired, too")):
        with AwsSimulator() as sim, surrounded(sim.url):
            yield from _runs(sim, new_adapter(sim.url), spec, context)


def _on_demand(sim: AwsSimulator, adapter: AWSKMSAdapter) -> Iterator[Figure]:
    log = open_log(AUDIT_URL)
    adapter.create_key("on-demand")
    request = Request("POST", "/v1/keys/on-demand/rotate", None, "arn:aws:iam::bench:user/bench")
    sim.calls.clear()
    answer = respond(request, lambda: (adapter, log))
    if answer.status != 200:
        raise RuntimeError(answer.body)
    yield _demand_figure("AWS, one key on demand by HTTP: calls", sim)
    sim.calls.clear()
    adapter.rotate_key("on-demand")
    yield _demand_figure("AWS, one key by rotate_key: calls", sim)


def _demand_figure(name: str, sim: AwsSimulator) -> Figure:
    made = _store_calls(sim)
    return Figure(name, len(made), Must.BE_AT_MOST, _ON_DEMAND, context=", ".join(made))


def _runs(
    sim: AwsSimulator, adapter: AWSKMSAdapter, spec: str | None, context: str
) -> Iterator[Figure]:
    log = open_log(AUDIT_URL)
    for number in range(_KEYS):
        adapter.create_key(f"due-{number}", spec=spec)
    for turn in range(1, _RUNS + 1):
        sim.shift_clock(seconds=_LATER.total_seconds())
        sim.calls.clear()
        summary = run(adapter, log, now=datetime.now(UTC) + turn * _LATER)
        rotated = summary.counts()["rotated"]
        if rotated != _KEYS:
            raise RuntimeError(summary.to_dict())
        calls = [name for name in _store_calls(sim) if name != _LISTING]
        name = f"AWS, {_KEYS} due keys, run {turn}: calls per rotation"
        per_rotation = len(calls) / rotated
        if spec is None:
            yield Figure(name, per_rotation, Must.BE_AT_MOST, _PER_ROTATION)
            objects = sum(call.operation == "PutObject" for call in sim.calls) / rotated
            name = f"AWS, {_KEYS} due keys, run {turn}: audit objects per rotation"
            yield Figure(name, objects, Must.BE_UNDER, _OBJECTS)
        else:
            yield Figure(f"{name}, {spec}", per_rotation, context=context if turn > 1 else "")


def _store_calls(sim: AwsSimulator) -> list[str]:
    return [call.operation for call in sim.calls if call.service != "s3"]
