"""Serves simulated services on loopback, with one lock, planned faults and controls over HTTP."""

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
    """What a request asks of a service. ``params`` must not hold a secret value."""

    service: str
    name: str
    params: Mapping[str, object]
    group: str | None = None
    """The group of operations that share one rate quota, or None."""
    caller: str | None = None
    """Who calls, if the service knows. None stands for the access key that signed the request."""
    challenge: bool = False
    """Whether it only asks how to authenticate. It is then not recorded, and no fault hits it."""
    writes: str | None = None
    """What it writes to, if the service refuses two simultaneous writes to that."""
    clash: bool = False
    """Whether another write to the same was under way when this one arrived."""
    stale: bool = False
    """Whether to answer as if the last write had not happened."""


class Refusal(Enum):
    """A refusal that every service has, each in its own form."""

    DENIED = Effect.DENY
    THROTTLED = Effect.THROTTLE
    INTERNAL = How.ERROR


class Service(Protocol):
    """A simulated service; ``perform`` runs under the server's lock."""

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for this service."""

    def perform(self, operation: Operation, request: Request) -> Response:
        """Perform the operation."""

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return the service's own form of a general refusal."""


class SimServer(LocalCloud):
    """Serves simulated services on a free loopback port."""

    can_be_stale: frozenset[str] = frozenset()
    """The services that can answer as if the last write had not happened."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        port: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        tls: "tuple[ssl.SSLContext, int] | None" = None,
    ) -> None:
        """Listen, but do not serve yet.

        Args:
            services: the simulated services; the first one that claims a request answers it.
            port: the port to listen on; 0 takes a free one.
            monotonic: the clock of the rate quotas.
            tls: the context and the port of a second listener, which speaks TLS.
        """
        self.calls = CallLog()
        self.faults = Faults(monotonic)
        self.latency = 0.0
        self._services = services
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # Waits for the latency. A test that must not wait replaces it.
        self.pause: Callable[[float], object] = self._stopping.wait
        self._under_way: Counter[str] = Counter()
        self._crashes: list[Exception] = []
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
        """End every connection and thread.

        Raises:
            ExceptionGroup: what went wrong inside the simulator while it ran.
        """
        self._stopping.set()
        for listener in self._listeners:
            listener.stop()
        crashes = [crash for listener in self._listeners for crash in listener.crashes]
        crashes += self._crashes
        if crashes:
            message = "the simulator itself failed"
            raise ExceptionGroup(message, crashes)

    def addresses(self) -> dict[str, object]:
        """Return what a simulator in its own process prints as JSON; ``url`` takes the controls."""
        return {"url": self.url, "environment": self.environment}

    def set_latency(self, seconds: float) -> None:
        """Wait this long before each call takes effect."""
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

    def ask(self, request: Request) -> Response | None:
        """Answer a client in this process as one on the wire; None: the connection ends.

        A client in this process uses no socket, no TLS and no thread. The log and the controls are
        the same for both.
        """
        try:
            return self._answer(request)
        except Exception as error:
            # Raised again when the simulator stops: a client may take it for a fault.
            self._crashes.append(error)
            raise

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
        caller = access_key(request) if operation.caller is None else operation.caller
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
            return self._fail(fault, call, service, operation, request)
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
        """Register a write for the duration of the block; yields whether it is the only one."""
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
        self, fault: Fault, call: Call, service: Service, operation: Operation, request: Request
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
            if not request.waits:
                raise NotImplementedError("a client in this process has no time limit")
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
    """Return a control that takes names where the method of a test takes a predicate."""

    def planned(
        service: str | None = None, operation: str | None = None, **given: int | str | None
    ) -> None:
        plan(**given, when=only(service, operation))

    return planned


def access_key(request: Request) -> str:
    """Return the access key that signed the request. The signature is not checked."""
    match = re.search(r"Credential=([^/]+)/", request.headers.get("authorization", ""))
    return match[1] if match else ""
