"""Simulated services behind one loopback server: one lock over their state, faults, controls."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Protocol, Self

from infra.local.base import LocalCloud
from infra.local.faults import Call, CallLog, Effect, Fault, Faults, How, only
from infra.local.http_server import Listener, Request, Response

if TYPE_CHECKING:
    import ssl

CONTROL_PREFIX = "/_sim/"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks of a service. ``params`` must be free of secret values."""

    service: str
    name: str
    params: Mapping[str, object]
    group: str | None = None
    """The group of operations that share one rate quota, if this one counts against any."""
    caller: str | None = None
    """Who calls, if the service knows; None: whose access key signed."""
    challenge: bool = False
    """Asks only how to authenticate: neither recorded as a call nor hit by a fault."""
    writes: str | None = None
    """What it writes to, where a service minds two such operations under way at once."""
    clash: bool = False
    """Another that writes to the same was under way when this one came."""
    stale: bool = False
    """To be answered as if the last write had not been."""


class Refusal(Enum):
    """An answer that each service words in its own way."""

    DENIED = Effect.DENY
    THROTTLED = Effect.THROTTLE
    INTERNAL = How.ERROR


class Service(Protocol):
    """A simulated service; ``perform`` runs under the server's lock."""

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for this service."""

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out."""

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return the service's own form of a general refusal."""


class SimServer(LocalCloud):
    """Serves some simulated services on a free loopback port while it is a context."""

    can_be_stale: frozenset[str] = frozenset()
    """The services that can answer as if the last write had not been."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        port: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        tls: "tuple[ssl.SSLContext, int] | None" = None,
    ) -> None:
        """``tls`` is the context and port of a second listener, which speaks TLS."""
        self.calls = CallLog()
        self.faults = Faults(monotonic)
        self.latency = 0.0
        self._services = services
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # How latency is spent; a test that must not wait puts something else here.
        self.pause: Callable[[float], object] = self._stopping.wait
        self._under_way: Counter[str] = Counter()
        self._listener = Listener(port, self._answer)
        self._listeners = [self._listener]
        if tls is not None:
            self._listeners.append(Listener(tls[1], self._answer, tls[0]))

    @property
    def url(self) -> str:
        """The address to give to a client."""
        return f"http://127.0.0.1:{self._listener.server_port}"

    @property
    def tls_port(self) -> int:
        """The port that speaks TLS."""
        return self._listeners[1].server_port

    def start(self) -> Self:
        """Begin to serve."""
        for listener in self._listeners:
            listener.start()
        return self

    def stop(self) -> None:
        """End every connection and thread; raise what went wrong inside the simulator."""
        self._stopping.set()
        for listener in self._listeners:
            listener.stop()
        crashes = [crash for listener in self._listeners for crash in listener.crashes]
        if crashes:
            message = "the simulator itself failed"
            raise ExceptionGroup(message, crashes)

    def addresses(self) -> dict[str, object]:
        """Return what a process of its own says of itself, as JSON; ``url`` takes the controls."""
        return {"url": self.url, "environment": self.environment}

    def set_latency(self, seconds: float) -> None:
        """Let each call take this long before it takes effect."""
        self.latency = seconds

    def controls(self) -> dict[str, Callable[..., object]]:
        """Return what can be called over HTTP: ``POST /_sim/<name>`` with a JSON object."""
        faults, calls = self.faults, self.calls
        return {
            "fail_before": _planner(faults.fail_before),
            "fail_after": _planner(faults.fail_after),
            "hang": _planner(faults.hang),
            "throttle": _planner(faults.throttle),
            "stale": _planner(faults.stale),
            "deny": faults.deny,
            "allow": faults.allow,
            "quota": faults.quota,
            "clear_faults": faults.clear,
            "calls": calls.as_json,
            "counts": calls.counts,
            "clear_calls": calls.clear,
            "set_latency": self.set_latency,
        }

    def _answer(self, request: Request) -> Response | None:
        """Return the answer to a request, or None to end the connection without one."""
        if request.path.startswith(CONTROL_PREFIX):
            return self._control(request)
        for service in self._services:
            operation = service.claim(request)
            if operation is not None:
                return self._call(service, operation, request)
        return Response(404, b"no simulated service answers this request")

    def _call(self, service: Service, operation: Operation, request: Request) -> Response | None:
        if operation.challenge:
            if self.latency:
                self.pause(self.latency)
            with self._lock:
                return service.perform(operation, request)
        caller = _access_key(request) if operation.caller is None else operation.caller
        call = self.calls.add(operation.service, operation.name, operation.params, caller)
        fault = self.faults.next(operation.service, operation.name, operation.group)
        response = None
        with self._writing(operation.writes) as alone:
            if self.latency:
                self.pause(self.latency)
            if fault is None or fault.effect in {Effect.FAIL_AFTER, Effect.STALE}:
                asked = replace(operation, clash=not alone, stale=self._stale(fault, operation))
                with self._lock:
                    response = service.perform(asked, request)
        if fault is not None and fault.effect is not Effect.STALE:
            return self._fail(fault, call, service, operation)
        if response is not None:
            call.outcome = response.error or "ok"
        return response

    def _stale(self, fault: Fault | None, operation: Operation) -> bool:
        stale = fault is not None and fault.effect is Effect.STALE
        if stale and operation.service not in self.can_be_stale:
            raise NotImplementedError(operation.service)
        return stale

    @contextmanager
    def _writing(self, name: str | None) -> Iterator[bool]:
        """Note that something is written to, and tell whether nobody else is writing to it."""
        if name is None:
            yield True
            return
        with self._lock:
            self._under_way[name] += 1
            alone = self._under_way[name] == 1
        try:
            yield alone
        finally:
            with self._lock:
                self._under_way[name] -= 1

    def _fail(
        self, fault: Fault, call: Call, service: Service, operation: Operation
    ) -> Response | None:
        call.outcome = fault.effect.value
        if fault.effect in (Effect.DENY, Effect.THROTTLE):
            response = service.refuse(Refusal(fault.effect), operation)
            call.outcome = response.error
            if fault.retry_after is not None:
                wait = {"Retry-After": str(fault.retry_after)}
                response = replace(response, headers={**response.headers, **wait})
            return response
        if fault.effect is Effect.HANG:
            self._stopping.wait()
        elif fault.how is How.ERROR:
            return service.refuse(Refusal.INTERNAL, operation)
        return None

    def _control(self, request: Request) -> Response:
        name = request.path.removeprefix(CONTROL_PREFIX)
        control = self.controls().get(name)
        if request.method != "POST" or control is None:
            return Response(404, b"no such control")
        try:
            result = control(**json.loads(request.body or b"{}"))
        except (TypeError, ValueError) as error:
            return Response(400, str(error).encode())
        return Response(200, json.dumps(result).encode(), {"Content-Type": "application/json"})


def _planner(plan: Callable[..., None]) -> Callable[..., None]:
    """Let a fault be planned with names where a test in process gives a predicate."""

    def planned(
        service: str | None = None, operation: str | None = None, **given: int | str | None
    ) -> None:
        plan(**given, when=only(service, operation))

    return planned


def _access_key(request: Request) -> str:
    """Return who signed; signatures themselves are not checked."""
    match = re.search(r"Credential=([^/]+)/", request.headers.get("authorization", ""))
    return match[1] if match else ""
