"""What the HTTP API adds: to a cold start, and to a call over what the store's own calls take."""

import tempfile
import time
from collections.abc import Callable, Iterator
from statistics import median

from daena_kms.api.messages import Request
from daena_kms.api.router import respond

from tests.bench.cloud import Cloud
from tests.bench.figures import Figure, Must
from tests.bench.surroundings import child, environment

_COLD_MS, _WARM_MS = 60, 5
_ROUNDS, _QUICK_ROUNDS = 11, 5
_CALLS = 60


def cold(*, quick: bool) -> Iterator[Figure]:
    """Yield the milliseconds that the first answer takes once the engine is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        env = environment(PYTHONPYCACHEPREFIX=folder)
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        child("cold_api", env=env)  # once for the compiled modules
        rounds = range(_QUICK_ROUNDS if quick else _ROUNDS)
        taken = median(child("cold_api", env=env)["wall"] for _ in rounds)
    name = "HTTP API, its import and its first answer, on every cloud"
    yield Figure(name, 1000 * taken, Must.BE_AT_MOST, _COLD_MS, " ms", "the engine is loaded")


def warm(cloud: Cloud) -> Iterator[Figure]:
    """Yield the milliseconds by which an answer outlasts the store's calls in it."""
    with cloud.world() as world:
        adapter = world.adapter
        adapter.create_key("on-demand")
        request = Request("GET", "/v1/keys/on-demand", None, "somebody whom the platform knows")

        def by_http() -> None:
            answer = respond(request, lambda: (adapter, world.log))
            if answer.status != 200:
                raise RuntimeError(answer.body)

        def alone() -> None:
            adapter.store.describe("on-demand", exact=True)

        taken: dict[str, list[float]] = {"http": [], "alone": []}
        for _ in range(_CALLS):
            taken["http"].append(_timed(by_http))
            taken["alone"].append(_timed(alone))
    http, store = (1000 * median(times) for times in taken.values())
    name = f"{cloud.name}, a warm answer over the store's calls in it"
    context = f"{http:.2f} ms over {store:.2f} ms: {http / store:.2f}x"
    yield Figure(name, max(0.0, http - store), Must.BE_AT_MOST, _WARM_MS, " ms", context)


def _timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
