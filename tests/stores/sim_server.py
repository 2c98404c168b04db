"""Simulated services behind one loopback server: one lock over their state, faults, controls."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from tests.stores.sim_faults import Call, CallLog, Effect, Fault, Faults, How, only
from tests.stores.sim_http import Listener, Request, Response

CONTROL_PREFIX = "/_sim/"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks of a service. ``params`` must be free of secret values."""

    service: str
    name: str
    params: Mapping[str, object]
    group: str | None = None
    """The group of operations that share one rate quota, if this one counts against any."""


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


class SimServer:
    """Serves some simulated services on a free loopback port while it is a context."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        port: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.calls = CallLog()
        self.faults = Faults(monotonic)
        self.latency = 0.0
        self._services = services
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # How latency is spent; a test that must not wait puts something else here.
        self.pause: Callable[[float], object] = self._stopping.wait
        self._listener = Listener(port, self._answer)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def url(self) -> str:
        """The address to give to a client."""
        return f"http://127.0.0.1:{self._listener.server_port}"

    def start(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End every connection and thread; raise what went wrong inside the simulator."""
        self._stopping.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.end_connections()
        self._listener.server_close()
        if self._listener.crashes:
            message = "the simulator itself failed"
            raise ExceptionGroup(message, self._listener.crashes)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

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
        call = self.calls.add(
            operation.service, operation.name, operation.params, _access_key(request)
        )
        fault = self.faults.next(operation.service, operation.name, operation.group)
        if self.latency:
            self.pause(self.latency)
        if fault is not None and fault.effect is not Effect.FAIL_AFTER:
            return self._fail(fault, call, service, operation)
        with self._lock:
            response = service.perform(operation, request)
        if fault is not None:
            return self._fail(fault, call, service, operation)
        call.outcome = response.error or "ok"
        return response

    def _fail(
        self, fault: Fault, call: Call, service: Service, operation: Operation
    ) -> Response | None:
        call.outcome = fault.effect.value
        if fault.effect in (Effect.DENY, Effect.THROTTLE):
            response = service.refuse(Refusal(fault.effect), operation)
            call.outcome = response.error
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
        service: str | None = None, operation: str | None = None, **given: int | str
    ) -> None:
        plan(**given, when=only(service, operation))

    return planned


def _access_key(request: Request) -> str:
    """Return who signed; signatures themselves are not checked."""
    match = re.search(r"Credential=([^/]+)/", request.headers.get("authorization", ""))
    return match[1] if match else ""
