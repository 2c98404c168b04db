"""How near a run of very many due keys comes to what workers, latency and quota allow."""

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import cast

from daena_kms.audit import open_log
from daena_kms.engine import run

from tests.bench.figures import Figure, Must
from tests.bench.surroundings import new_adapter, surrounded
from tests.stores.aws_sim import clients, control, simulator_process

_KEYS, _QUICK_KEYS = 1_000, 200
_LATENCY, _WORKERS = 0.05, 16
#: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
_WRITES_PER_SECOND = 50
_IDEAL, _QUOTA = 1.3, 1.2
_LATER = timedelta(days=91)
_WRITES = ("PutSecretValue", "UpdateSecretVersionStage")


def without_quota(*, quick: bool) -> Iterator[Figure]:
    """Yield the time of a run over the ideal: calls times latency by workers."""
    keys = _QUICK_KEYS if quick else _KEYS
    seconds, calls, bare = _timed_run(keys, None)
    ideal = sum(calls.values()) * _LATENCY / _WORKERS
    name = f"AWS, {keys:,} due keys, {_WORKERS} workers: time over the ideal"
    context = f"{seconds:.1f} s; bare calls by as many threads: {bare:.2f}x"
    yield Figure(name, seconds / ideal, Must.BE_AT_MOST, _IDEAL, "x", context)


def with_quota(*, quick: bool) -> Iterator[Figure]:
    """Yield the time of a run over what the quota allows, its first second's burst taken off."""
    keys = _QUICK_KEYS if quick else _KEYS
    seconds, calls, _ = _timed_run(keys, _WRITES_PER_SECOND)
    allowed = (len(_WRITES) * keys - _WRITES_PER_SECOND) / _WRITES_PER_SECOND
    throttled = sum(calls[name] for name in _WRITES) - len(_WRITES) * keys
    name = f"AWS, {keys:,} due keys, {_WRITES_PER_SECOND} writes a second: time over the quota's"
    context = f"{seconds:.1f} s; {throttled} writes were throttled and sent again"
    yield Figure(name, seconds / allowed, Must.BE_AT_MOST, _QUOTA, "x", context)


def _timed_run(keys: int, quota: int | None) -> tuple[float, Mapping[str, int], float]:
    """Run on due keys in a simulator of its own process; also time bare calls without a quota."""
    with (
        simulator_process() as url,
        surrounded(url),
        tempfile.TemporaryDirectory() as folder,
    ):
        adapter = new_adapter(url)
        # Its objects are files: the time of S3 is not what is measured.
        log = open_log(f"file://{folder}")
        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(lambda number: adapter.create_key(f"due-{number}"), range(keys)))
        control(url, "set_latency", seconds=_LATENCY)
        bare = _bare(url, keys) if quota is None else 0
        control(url, "clear_calls")
        control(url, "quota", writes_per_second=quota)
        began = time.perf_counter()
        summary = run(adapter, log, now=datetime.now(UTC) + _LATER, workers=_WORKERS)
        seconds = time.perf_counter() - began
        if summary.counts()["rotated"] != keys:
            raise RuntimeError(summary.counts())
        return seconds, cast("dict[str, int]", control(url, "counts")), bare


def _bare(url: str, calls: int) -> float:
    """Return what the SDK alone takes over the ideal, on this machine with this simulator."""
    secrets = clients(url).secrets
    ready = threading.Barrier(_WORKERS + 1)
    share = calls // _WORKERS

    def work() -> None:
        secrets.describe_secret(SecretId="due-0")
        ready.wait()
        for _ in range(share):
            secrets.describe_secret(SecretId="due-0")

    with ThreadPoolExecutor(_WORKERS) as pool:
        futures = [pool.submit(work) for _ in range(_WORKERS)]
        ready.wait()
        began = time.perf_counter()
        for future in futures:
            future.result()
        return (time.perf_counter() - began) / (share * _LATENCY)
