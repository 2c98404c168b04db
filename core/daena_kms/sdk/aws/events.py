"""What our calls change in a client of botocore, by its events: how it retries, what it passes on.

The handlers do something only during a call of ours. A client that somebody passed to the adapter
works as before where they use it themselves.

- ``LimitExceededException`` is no throttling: Secrets Manager answers it where a secret has all its
  labels or versions. botocore knows it as throttling of other services, so that its standard and
  adaptive retries repeat the call, and adaptive ones slow all calls of the client. Its lists are
  fixed, so the code has another name while they are asked.
- An answer of JSON's protocol whose body is none raises, instead of being one without members.
- ``CrossAccountPrimary`` in ``DescribeSecret`` is kept, where botocore does not know it yet.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/cross-account-replicate-status.html
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.hooks import BaseEventHooks

type _Parsed = dict[str, Any]

_LIMIT, _NO_THROTTLING = "LimitExceededException", "NotThrottled.LimitExceededException"
_PRIMARY = "CrossAccountPrimary"
_SUCCESS = range(200, 300)
_TOO_MANY = 429
_THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException"}
_local = threading.local()


@contextlib.contextmanager
def our_call() -> Iterator[None]:
    """Let the handlers work in this thread, until the block ends."""
    before = getattr(_local, "on", False)
    _local.on = True
    try:
        yield
    finally:
        _local.on = before


def prepare(client: "BaseClient") -> None:
    """Register the handlers of our calls with a client; repeating it changes nothing."""
    events = _events_of(client)
    if events is None:  # something else with the same methods
        return
    model = client.meta.service_model
    service = model.service_id.hyphenize()
    names = {"hide": f"needs-retry.{service}", "show": "needs-retry"}
    # The most specific name is asked first; so botocore's handlers are between these two.
    events.register_first(names["hide"], _hide, unique_id=f"daena-kms-hide-{service}")
    events.register_last(names["show"], _show, unique_id=f"daena-kms-show-{service}")
    if getattr(model, "resolved_protocol", model.protocol) == "json":
        events.register(f"after-call.{service}", _look, unique_id=f"daena-kms-look-{service}")


def pace(client: "BaseClient", start: Callable[[], None], wait: Callable[[], None]) -> None:
    """Space the rotation's writes once one was throttled; retries go through it too.

    Args:
        client: A client of Secrets Manager.
        start: Called when a write was throttled.
        wait: Called before each write.
    """
    events = client.meta.events

    def notice(response: tuple[Any, _Parsed] | None, **_: object) -> None:
        if response is not None and _is_throttled(response[1]):
            start()

    def hold(**_: object) -> None:
        wait()

    # These share a quota.
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
    for operation in ("PutSecretValue", "UpdateSecretVersionStage"):
        events.register(f"needs-retry.secretsmanager.{operation}", notice)
        events.register(f"before-send.secretsmanager.{operation}", hold)


def _events_of(client: object) -> "BaseEventHooks | None":
    events: BaseEventHooks | None = getattr(getattr(client, "meta", None), "events", None)
    return events


def _is_throttled(parsed: _Parsed) -> bool:
    status = parsed.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == _TOO_MANY or parsed.get("Error", {}).get("Code") in _THROTTLED


def _hide(response: tuple[Any, _Parsed] | None, **_: object) -> None:
    if getattr(_local, "on", False):
        _rename(response, _LIMIT, _NO_THROTTLING)


def _show(response: tuple[Any, _Parsed] | None, **_: object) -> None:
    _rename(response, _NO_THROTTLING, _LIMIT)


def _rename(response: tuple[Any, _Parsed] | None, old: str, new: str) -> None:
    error = response[1].get("Error") if response is not None else None
    if isinstance(error, dict) and error.get("Code") == old:
        error["Code"] = new


def _look(http_response: Any, parsed: _Parsed, model: Any, **_: object) -> None:
    """Look at the body of a successful answer for what botocore leaves out.

    Raises:
        ResponseParserError: It is no object of JSON and not empty, or has members where the
            operation answers with none.
    """
    from botocore.parsers import ResponseParserError

    body = getattr(http_response, "content", None) if getattr(_local, "on", False) else None
    if not body or http_response.status_code not in _SUCCESS:
        return
    known = parsed.keys() - {"ResponseMetadata"}
    if known and (_PRIMARY in known or _PRIMARY.encode() not in body):
        return
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict) or (read and model.output_shape is None):
        raise ResponseParserError
    if read.get(_PRIMARY):
        parsed[_PRIMARY] = read[_PRIMARY]
