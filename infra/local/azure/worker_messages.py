"""What the Functions host and Microsoft's worker library for Python tell each other."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding of a function, as the host gets to know it."""

    name: str
    type: str
    direction: str
    """``in`` or ``out``"""
    settings: Mapping[str, Any]
    """What is particular to the type: ``route``, ``methods``, ``authLevel``, ``schedule``, …"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the library found in an app."""

    name: str
    id: str
    script_file: str
    bindings: Sequence[Binding]
    retry: Mapping[str, Any] | None
    """``retry_strategy``, ``max_retry_count`` and the strategy's times, if the app sets any"""

    @property
    def trigger(self) -> Binding:
        """The binding that sets the function off; the library insists on one."""
        return next(binding for binding in self.bindings if binding.type.endswith("Trigger"))


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as the host hands it on, with the parameters that the route took out."""

    method: str = "GET"
    url: str = "https://app.azurewebsites.net/"
    headers: Mapping[str, str] = NONE
    route: Mapping[str, str] = NONE
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What a caller of an HTTP function gets, with the names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one invocation."""

    ok: bool
    response: Response | None
    """For HTTP; the host answers 500 without a body when the function failed"""
    error: str | None
    traceback: str | None
    records: Sequence[logging.LogRecord]
    """Everything that was logged meanwhile, by whichever thread"""

    @property
    def log(self) -> str:
        """The records as the worker sends them to the host, exceptions included."""
        return "\n".join(logging.Formatter().format(record) for record in self.records)


class Message(SimpleNamespace):
    """Any message between worker and host: the library fills it in, nothing is sent."""


class Status(Message):
    """Whether a request of the host's was met."""

    Success = "success"
    Failure = "failure"


class BindingInfo(Message):
    """What the library compares a binding's direction and type of data with."""

    undefined = 0
    out = 1
    inout = 2


class Messages:
    """Stands for the generated module of messages, which the library gets from its caller."""

    StatusResult = Status
    BindingInfo = BindingInfo

    def __getattr__(self, name: str) -> type[Message]:
        return Message


def function(metadata: Any) -> Function:
    """Return what the host learns of a function."""
    bindings = []
    for raw in metadata.raw_bindings:
        settings = json.loads(raw)
        name, kind, direction = (settings.pop(part) for part in ("name", "type", "direction"))
        bindings.append(Binding(name, kind, direction.lower(), settings))
    retry = None if metadata.retry_options is None else vars(metadata.retry_options)
    script = metadata.script_file
    return Function(metadata.name, metadata.function_id, script, tuple(bindings), retry)


def response(returned: Any) -> Response:
    """Return what the host answers with when an HTTP function returned that, or failed."""
    if returned is None:
        return Response(500, {}, b"")
    if returned.type == "string":
        return Response(200, {"content-type": "text/plain; charset=utf-8"}, returned.value.encode())
    value = returned.value
    headers = {name.lower(): datum.value for name, datum in value["headers"].items()}
    return Response(int(value["status_code"].value), headers, value["body"].value)
