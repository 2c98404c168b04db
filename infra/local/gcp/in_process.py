"""A gRPC channel to a simulator in its own process: a call instead of a connection."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import grpc

from infra.local.gcp.names import GcpError

type Ask = Callable[[str, bytes, Mapping[str, str]], bytes]


class Channel(grpc.Channel):
    """Sends each call of one request and one answer to ``ask``; no method here has more.

    Messages are written and read as on the wire, and errors carry what gRPC's own do.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> "_Method":
        """Return what calls a method."""
        name = method.rpartition("/")[2]
        return _Method(self._ask, name, request_serializer, response_deserializer)

    def unary_stream(self, *_given: Any, **_named: Any) -> Any:
        """There is none."""
        raise NotImplementedError

    stream_unary = stream_stream = unary_stream

    def subscribe(self, *_given: Any, **_named: Any) -> None:
        """There is no connection whose state changes."""

    def unsubscribe(self, callback: Any) -> None:
        """There is no connection whose state changes."""

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Method(grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg] # it takes none at run time
    def __init__(self, ask: Ask, name: str, write: Any, read: Any) -> None:
        self._ask = ask
        self._name = name
        self._write = write
        self._read = read

    def __call__(self, request: Any, *given: Any, **named: Any) -> Any:
        """Return the answer."""
        return self.with_call(request, *given, **named)[0]

    def with_call(self, request: Any, *_given: Any, **named: Any) -> tuple[Any, "_Ended"]:
        """Return the answer and what there is to know of the call. No time limit passes here."""
        marked = {name: str(text) for name, text in named.get("metadata") or ()}
        try:
            answer = self._ask(self._name, self._write(request), marked)
        except GcpError as error:
            raise _Refused(error.code, error.message) from None
        return self._read(answer), _Ended(grpc.StatusCode.OK, "")

    def future(self, *_given: Any, **_named: Any) -> Any:
        """The client makes no call that goes on beside it."""
        raise NotImplementedError


class _Ended(grpc.Call):
    """A call that has ended."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__()
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def initial_metadata(self) -> tuple[()]:
        return ()

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Any) -> bool:
        del callback
        return False


class _Refused(_Ended, grpc.RpcError):
    """A call that ended in an error, as an interceptor takes it: raised when its result is read."""

    def __str__(self) -> str:
        return f"{self._code}: {self._details}"

    def result(self, timeout: float | None = None) -> Any:
        del timeout
        raise self
