"""The AWS JSON 1.1 protocol: requests named by a target header, checked params, typed errors."""

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

type Clock = Callable[[], datetime]
type Json = dict[str, object]

REDACTED = "(not recorded)"


class AwsError(Exception):
    """An error as the service answers it; the message must not hold a value."""

    def __init__(self, code: str, message: str, status: int = 400, **more: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.more = more


def epoch(moment: datetime) -> float:
    """Return a date as AWS sends it: seconds with three decimals."""
    return round(moment.timestamp(), 3)


def utc_now() -> datetime:
    """Return the real time."""
    return datetime.now(UTC)


class Params:
    """The params of one call; each accessor checks type and bounds, as the service does."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def text(self, name: str, least: int = 1, most: int = 2048) -> str | None:
        """Return a string, or None if it was not given."""
        value = self._raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise _invalid(name, "must be a string")
        if not least <= len(value) <= most:
            raise _invalid(name, f"must have a length from {least} to {most}")
        return value

    def required(self, name: str, most: int = 2048) -> str:
        """Return a string that must have been given."""
        value = self.text(name, 1, most)
        if value is None:
            raise _invalid(name, "must not be null")
        return value

    def number(self, name: str, least: int, most: int) -> int | None:
        """Return a whole number, or None if it was not given."""
        value = self._raw.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or not least <= value <= most:
            raise _invalid(name, f"must be a number from {least} to {most}")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean; false if it was not given."""
        value = self._raw.get(name, False)
        if not isinstance(value, bool):
            raise _invalid(name, "must be a boolean")
        return value

    def texts(self, name: str) -> list[str] | None:
        """Return a list of strings, or None if it was not given."""
        value = self._raw.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _invalid(name, "must be a list of strings")
        return value

    def objects(self, name: str) -> list["Params"]:
        """Return a list of objects; empty if it was not given."""
        value = self._raw.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise _invalid(name, "must be a list of objects")
        return [Params(item) for item in value]


def _invalid(name: str, rule: str) -> AwsError:
    return AwsError("ValidationException", f"1 validation error detected: {name} {rule}")


class Handler(NamedTuple):
    """One operation: what carries it out, the params it models, and its quota group."""

    run: Callable[[Params], Json]
    accepts: str
    group: str | None = None


class JsonService:
    """A service of the AWS JSON protocol; subclasses fill the table of operations."""

    def __init__(
        self,
        name: str,
        target: str,
        internal_error: str,
        redacted: frozenset[str] = frozenset(),
        message_member: str = "message",
    ) -> None:
        """Serve a service.

        Args:
            name: as it is called in permissions.
            target: how its targets begin.
            internal_error: the code of its own failure.
            redacted: the params that hold secret values.
            message_member: where an error has its text, which services write differently.
        """
        self.name = name
        self._message_member = message_member
        self._target = target + "."
        self._internal_error = internal_error
        self._redacted = redacted
        self.operations: dict[str, Handler] = {}

    def claim(self, request: Request) -> Operation | None:
        """Return the operation that the target header names, if it is this service's."""
        target = request.headers.get("x-amz-target", "")
        if not target.startswith(self._target):
            return None
        name = target.removeprefix(self._target)
        raw = _parse(request) or {}
        params = {key: REDACTED if key in self._redacted else raw[key] for key in raw}
        handler = self.operations.get(name)
        return Operation(self.name, name, params, handler.group if handler else None)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out and word its result or error."""
        raw = _parse(request)
        if raw is None:
            return self._error(AwsError("SerializationException", "The body is not a JSON object."))
        try:
            return _answer(200, self.run(operation.name, raw))
        except AwsError as error:
            return self._error(error)

    def run(self, operation: str, raw: Mapping[str, object]) -> Json:
        """Carry an operation out in process."""
        handler = self.operations.get(operation)
        if handler is None:
            raise AwsError("UnknownOperationException", f"{operation} is not modelled")
        # AWS would take these; to ignore one here would make a test pass for the wrong reason.
        unknown = raw.keys() - handler.accepts.split()
        if unknown:
            message = f"{operation}: not modelled: {', '.join(sorted(unknown))}"
            raise AwsError("ValidationException", message)
        return handler.run(Params(raw))

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return the protocol's form of a general refusal."""
        match refusal:
            case Refusal.DENIED:
                action = f"{self.name}:{operation.name}"
                message = f"User is not authorized to perform: {action}"
                return self._error(AwsError("AccessDeniedException", message))
            case Refusal.THROTTLED:
                return self._error(AwsError("ThrottlingException", "Rate exceeded"))
            case Refusal.INTERNAL:
                message = "An internal error occurred."
                return self._error(AwsError(self._internal_error, message, 500))

    def _error(self, error: AwsError) -> Response:
        body: Json = {"__type": error.code, self._message_member: error.message}
        return _answer(error.status, body, error.code)


def _parse(request: Request) -> Json | None:
    try:
        raw = json.loads(request.body or b"{}")
    except ValueError:
        return None
    return raw if isinstance(raw, dict) else None


def _answer(status: int, body: Json, error: str = "") -> Response:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-RequestId": secrets.token_hex(16),
    }
    return Response(status, json.dumps(body).encode(), headers, error)
