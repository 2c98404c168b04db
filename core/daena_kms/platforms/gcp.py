"""What Google Cloud's events and requests say, taken apart without trusting them."""

import base64
import contextlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from daena_kms.api.inputs import MAX_BODY
from daena_kms.api.messages import (
    BadRequest,
    Request,
    Response,
    Unauthenticated,
    WrongMethod,
    dig,
    problem,
)
from daena_kms.errors import ConfigError, InvalidKeyId, KeyNotFound
from daena_kms.platforms.gcp_logging import trace_id
from daena_kms.rules.names import check_key_id
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from daena_kms.cloud_kms import GCPSecretManagerAdapter

logger = logging.getLogger("daena_kms")

#: https://cloud.google.com/secret-manager/docs/event-notifications
_TIME_TO_ROTATE = "SECRET_ROTATE"
_SECRET = re.compile(r"projects/([^/]+)(?:/locations/[^/]+)?/secrets/([^/]+)", re.ASCII)
#: A token as Cloud Run hands it on after its own check, so that nobody can use it elsewhere.
#: https://cloud.google.com/run/docs/troubleshooting#signature-removed
_CHECKED_TOKEN = re.compile(
    r"bearer [A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.SIGNATURE_REMOVED_BY_GOOGLE",
    re.ASCII | re.IGNORECASE,
)

#: Seconds that Google Cloud gives an event's function at most, and that who asks may wait.
#: https://cloud.google.com/run/docs/configuring/request-timeout, Pub/Sub's longest: 10 minutes
RUN, ANSWER = 540, 200


class RefusedEvent(ConfigError):
    """An event that no second delivery would make right."""


def google_caller(
    header: Callable[[str], str | None], environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return who calls a function that Cloud Run's IAM check has let a caller through to.

    With ``GCP_INVOKER_IAM_CHECK=true`` whoever deployed the function says that IAM decides who
    may invoke it: then Cloud Run has checked the token and passes it on with its signature taken
    off. A function open to everybody is sent whatever a caller makes up, and nothing in the
    request tells the two apart, so without the setting nobody counts as verified. Of two tokens
    only that in ``X-Serverless-Authorization`` has been checked.

    https://cloud.google.com/run/docs/authenticating/service-to-service
    """
    if not Settings.load(environ).flag("GCP_INVOKER_IAM_CHECK"):
        return None
    other = header("X-Serverless-Authorization")
    given = header("Authorization") if other is None else other
    match = _CHECKED_TOKEN.fullmatch(given or "")
    if match is None:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    found = dig(claims, "email") or dig(claims, "sub")
    return found[:200] if found else None


def google_request(request: Any) -> Request:
    """Return what Flask's request asks, and who asks if that was verified."""
    return Request(
        request.method,
        request.path,
        request.get_data(),
        google_caller(request.headers.get),
        query=request.query_string.decode("latin-1"),
        headers={name.lower(): text for name, text in request.headers.items()},
        request_id=trace_id(request.headers.get),
    )


def log_answer(answer: Response, asked: Request) -> None:
    """Log what was answered at which address."""
    logger.info(json.dumps({"event": "http", **answer.log_entry(asked)}))


def seconds_left(most: int, environ: Mapping[str, str] = os.environ) -> float:
    """Return how long a run may begin work in a function on Google Cloud.

    That is ``most``, or the function's own timeout if it is shorter (Cloud Run sets
    ``CLOUD_RUN_TIMEOUT_SECONDS``), less what closing a run may take.
    """
    limit = min(most, Settings.load(environ).number("CLOUD_RUN_TIMEOUT_SECONDS") or most)
    return limit - min(30.0, limit / 4)


class Rotate(Protocol):
    """What a scheduled function does: all that is due."""

    def __call__(self, trigger: str, *, dry_run: bool) -> Response:
        """Do it, or plan it alone; raises the error of a key that failed."""
        ...


def answer_scheduler(request: Request, rotate: Rotate) -> Response:
    """Answer Cloud Scheduler's request: do what is due, or with ``{"dry_run": true}`` plan it.

    A failed key's error is raised, so that the job fails.
    """
    if request.principal is None:
        msg = "the platform has verified no caller"
        todo = "Let the job send an OIDC token, and let IAM decide who may invoke the function"
        return problem(Unauthenticated(msg, todo=todo, headers={"www-authenticate": "Bearer"}))
    if request.method != "POST":
        msg = f"the method {request.method[:20]!r} is not for this function"
        todo = "POST nothing, or a JSON object"
        return problem(WrongMethod(msg, todo=todo, headers={"allow": "POST"}))
    try:
        dry_run = _dry_run(request.body or b"")
    except ConfigError as refused:
        return problem(BadRequest(refused.what, todo=refused.todo))
    return rotate("schedule", dry_run=dry_run)


def asks_dry_run(data: object) -> bool:
    """Say whether a schedule's Pub/Sub message wants a plan alone.

    Raises :class:`RefusedEvent` for a message that says something else.
    """
    _, body = _message(data)
    try:
        return _dry_run(body)
    except ConfigError as refused:
        raise RefusedEvent(refused.what, todo=refused.todo) from None


def rotating_secret(data: object, adapter: "GCPSecretManagerAdapter") -> str | None:
    """Return the key id in Secret Manager's event, or ``None`` where nothing is to be done.

    Events of other types, and of secrets that can't be keys, are passed over. Raises
    :class:`RefusedEvent` for what is no such event, and for a secret of another project or
    location than the adapter's. The event names the project by its number, as the secret's own
    name does, which is asked for.
    """
    attributes, _ = _message(data)
    kind, name = dig(attributes, "eventType"), dig(attributes, "secretId") or ""
    todo = "Set this topic on secrets of this project and location, and on nothing else"
    if kind is None:
        raise RefusedEvent("the message is no event of Secret Manager", todo=todo)
    if kind != _TIME_TO_ROTATE:
        logger.info("an event of type %.80r was passed over", kind)
        return None
    match = _SECRET.fullmatch(name)
    if match is None:
        raise RefusedEvent("the event names no secret", todo=todo)
    try:
        key_id = check_key_id(match[2])
    except InvalidKeyId:
        logger.info("an event of a secret that is no key of ours was passed over")
        return None
    if name not in _names(key_id, adapter):
        raise RefusedEvent(f"the event is of a secret that is not here, {name[:200]!r}", todo=todo)
    return key_id


def _names(key_id: str, adapter: "GCPSecretManagerAdapter") -> set[str]:
    """Return a secret's names, by the project's number and by its id; none if it is not there."""
    from daena_kms.stores.gcp.state import secret_of

    try:
        name = secret_of(adapter.store.describe(key_id)).name
    except KeyNotFound:
        return set()
    place = name.split("/", 2)[2]
    return {name, f"projects/{adapter.login.project}/{place}"}


@contextlib.contextmanager
def acknowledged() -> Iterator[None]:
    """Log a :class:`RefusedEvent` as an error and go on.

    Pub/Sub and Eventarc deliver what failed again, for a day or a week, and what can't become
    right is to be acknowledged: https://cloud.google.com/run/docs/tips/function-retries
    """
    try:
        yield
    except RefusedEvent as refused:
        logger.error("an event was refused: %s", refused)


def _message(data: object) -> tuple[object, bytes]:
    """Return the attributes and the content of a Pub/Sub message, as a CloudEvent carries it.

    https://cloud.google.com/eventarc/docs/cloudevents-json#pubsub
    """
    todo = "Send CloudEvents of type google.cloud.pubsub.topic.v1.messagePublished"
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        raise RefusedEvent("the event holds no Pub/Sub message", todo=todo)
    content = message.get("data") or ""
    try:
        return message.get("attributes"), base64.b64decode(content, validate=True)
    except (TypeError, ValueError):
        raise RefusedEvent("the message's data is no base64", todo=todo) from None


def _dry_run(body: str | bytes) -> bool:
    """Read what a schedule sends. Raises :class:`ConfigError`."""
    todo = 'Send nothing, or a JSON object such as {"dry_run": true}'
    if len(body) > MAX_BODY:
        raise ConfigError(f"the body is over {MAX_BODY} bytes", todo=todo)
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ConfigError("the body is no JSON", todo=todo) from None
    dry_run = found.get("dry_run", False) if isinstance(found, dict) else None
    if not isinstance(dry_run, bool):
        raise ConfigError("the body is no object whose dry_run is true or false", todo=todo)
    return dry_run
