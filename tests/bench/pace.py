"""How near a run of very many due keys comes to what workers, latency and quota allow."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from daena_kms.audit import open_log
from daena_kms.engine import run

from infra.local.simulator import control
from tests.bench.cloud import Cloud
from tests.bench.figures import Figure, Must

_KEYS, _QUICK_KEYS = 1_000, 200
_LATENCY, _WORKERS = 0.05, 16
#: Keys that are named in one run, and the latency of its calls.
_NAMED, _NAMED_LATENCY = 100, 0.02
_IDEAL, _NAMED_IDEAL, _QUOTA = 1.3, 1.5, 1.2
_LATER = timedelta(days=91)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A run: how long it took, its calls by operation, and what bare calls take over the ideal."""

    seconds: float
    calls: Mapping[str, int]
    bare: float


def without_quota(cloud: Cloud, *, quick: bool) -> Iterator[Figure]:
    """Yield the time of a run over the ideal: calls times latency by workers."""
    keys = _QUICK_KEYS if quick else _KEYS
    timed = _timed_run(cloud, keys, None, {})
    shared = sum(timed.calls.values()) * _LATENCY / _WORKERS
    in_turn = timed.calls[cloud.listing] * _LATENCY * (1 - 1 / _WORKERS)
    ideal = shared + in_turn if cloud.pages_in_turn else shared
    name = f"{cloud.name}, {keys:,} due keys, {_WORKERS} workers: time over the ideal"
    context = [f"{timed.seconds:.1f} s", f"bare calls by as many threads: {timed.bare:.2f}x"]
    if cloud.pages_in_turn:
        pages = timed.calls[cloud.listing]
        context.append(f"{timed.seconds / shared:.2f}x if workers could share {pages} pages")
    yield Figure(name, timed.seconds / ideal, Must.BE_AT_MOST, _IDEAL, "x", "; ".join(context))


def named(cloud: Cloud) -> Iterator[Figure]:
    """Yield the time of a run of some keys that were named: they are looked at first.

    Calls of 20 ms come so close together that the SDK's own work counts: where bare calls by as
    many threads take longer than the ideal, it is compared with those.
    """
    timed = _timed_run(cloud, _NAMED, None, {}, _NAMED_LATENCY, named=True)
    calls = sum(timed.calls.values())
    ideal = calls * _NAMED_LATENCY / _WORKERS * max(1, timed.bare)
    name = f"{cloud.name}, {_NAMED} named keys, {_WORKERS} workers: time over the ideal"
    context = f"{timed.seconds:.1f} s; {calls} calls; bare calls: {timed.bare:.2f}x"
    yield Figure(name, timed.seconds / ideal, Must.BE_AT_MOST, _NAMED_IDEAL, "x", context)


def with_quota(cloud: Cloud, *, quick: bool) -> Iterator[Figure]:
    """Yield the time of a run over what the quota allows: first as a run finds it by itself.

    Then, where there is one, with the setting for it. The first second's burst is taken off.
    """
    yield from _under_quota(cloud, {}, quick=quick)
    if cloud.quota.setting:
        yield from _under_quota(cloud, cloud.quota.setting, quick=quick)


def _under_quota(cloud: Cloud, given: Mapping[str, str], *, quick: bool) -> Iterator[Figure]:
    rate, keys = cloud.quota.per_second, cloud.quota.keys[quick]
    timed = _timed_run(cloud, keys, rate, given)
    needed = len(cloud.writes) * keys
    allowed = (needed - rate) / rate
    if cloud.pages_in_turn:
        allowed += timed.calls[cloud.listing] * _LATENCY
    throttled = sum(timed.calls[name] for name in set(cloud.writes)) - needed
    how = "".join(f", {name}={value}" for name, value in given.items())
    what = f"{cloud.name}, {keys:,} due keys, {rate} writes a second{how}"
    context = f"{timed.seconds:.1f} s; {throttled} writes were throttled and sent again"
    ratio = timed.seconds / allowed
    yield Figure(f"{what}: time over the quota's", ratio, Must.BE_AT_MOST, _QUOTA, "x", context)
    if given:
        yield Figure(f"{what}: throttled writes", throttled, Must.BE, 0)


def _timed_run(
    cloud: Cloud,
    keys: int,
    quota: int | None,
    given: Mapping[str, str],
    latency: float = _LATENCY,
    *,
    named: bool = False,
) -> _Timed:
    """Run on due keys in a simulator of its own process; also time bare calls without a quota."""
    ids = [f"due-{number}" for number in range(keys)]
    with cloud.remote() as remote, tempfile.TemporaryDirectory() as folder:
        adapter = remote.adapter({})
        # Its objects are files: the time of a cloud's is not what is measured.
        log = open_log(f"file://{folder}")
        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(adapter.create_key, ids))
        if given:
            adapter = remote.adapter(given)
        control(remote.url, "set_latency", seconds=latency)
        bare = _bare(remote.bare, keys, latency) if quota is None else 0
        control(remote.url, "clear_calls")
        control(remote.url, "quota", writes_per_second=quota)
        began = time.perf_counter()
        asked = ids if named else None
        summary = run(adapter, log, datetime.now(UTC) + _LATER, asked, workers=_WORKERS)
        seconds = time.perf_counter() - began
        if summary.counts()["rotated"] != keys:
            raise RuntimeError(summary.counts())
        return _Timed(seconds, cast("dict[str, int]", control(remote.url, "counts")), bare)


def _bare(read: Callable[[str], object], calls: int, latency: float) -> float:
    """Return what the SDK alone takes over the ideal, on this machine with this simulator."""
    ready = threading.Barrier(_WORKERS + 1)
    share = calls // _WORKERS

    def work() -> None:
        read("due-0")
        ready.wait()
        for _ in range(share):
            read("due-0")

    with ThreadPoolExecutor(_WORKERS) as pool:
        futures = [pool.submit(work) for _ in range(_WORKERS)]
        ready.wait()
        began = time.perf_counter()
        for future in futures:
            future.result()
        return (time.perf_counter() - began) / (share * latency)
