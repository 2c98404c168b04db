"""Reads Google Cloud's events and requests; nothing is trusted but what the platform verified."""

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
    name_of_token,
    problem,
)
from daena_kms.errors import ConfigError, InvalidKeyId, KeyNotFound
from daena_kms.platforms.gcp_logging import trace_id
from daena_kms.rules.names import check_key_id
from daena_kms.rules.text import shown
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from daena_kms.cloud_kms import GCPSecretManagerAdapter

logger = logging.getLogger("daena_kms")

#: https://cloud.google.com/secret-manager/docs/event-notifications
_TIME_TO_ROTATE = "SECRET_ROTATE"
_SECRET = re.compile(r"projects/([^/]+)(?:/locations/[^/]+)?/secrets/([^/]+)", re.ASCII)
#: A token as Cloud Run passes it on after its own check: nobody can use it elsewhere.
#: https://cloud.google.com/run/docs/troubleshooting#signature-removed
_CHECKED_TOKEN = re.compile(
    r"bearer [A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.SIGNATURE_REMOVED_BY_GOOGLE",
    re.ASCII | re.IGNORECASE,
)

#: Who issues the tokens of Google's accounts: https://cloud.google.com/docs/authentication/token-types
_GOOGLE = "accounts.google.com"

#: Seconds that Google Cloud gives a function for an event, and that a caller over HTTP may wait.
#: https://cloud.google.com/run/docs/configuring/request-timeout, Pub/Sub's longest: 10 minutes
RUN, ANSWER = 540, 200


class RefusedEvent(ConfigError):
    """An event that is wrong, and would be wrong if it were delivered again."""


def google_caller(
    header: Callable[[str], str | None], environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return the caller of a function that Cloud Run's IAM check has let through, if there is one.

    ``GCP_INVOKER_IAM_CHECK=true`` states that IAM decides who may invoke the function. Then Cloud
    Run has checked the token, and passes it on without its signature. A function that is open to
    everybody receives whatever a caller makes up, and nothing in the request tells the two apart.
    So without the setting no caller counts as verified. Of two tokens, only the one in
    ``X-Serverless-Authorization`` has been checked.

    https://cloud.google.com/run/docs/authenticating/service-to-service
    """
    if not Settings.load(environ).flag("GCP_INVOKER_IAM_CHECK"):
        return None
    serverless = header("X-Serverless-Authorization")
    token = header("Authorization") if serverless is None else serverless
    match = _CHECKED_TOKEN.fullmatch(token or "")
    if match is None:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    issuer, subject = dig(claims, "iss") or _GOOGLE, dig(claims, "sub")
    if issuer.removeprefix("https://") == _GOOGLE:
        caller = dig(claims, "email") or subject
        return caller[:200] if caller else None
    return name_of_token(issuer, subject)  # an e-mail address is what its issuer says it is


def google_request(request: Any) -> Request:
    """Return Flask's request, with its caller if one was verified."""
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
    """Log which address was answered with which status."""
    logger.info(json.dumps({"event": "http", **answer.log_entry(asked)}))


def seconds_left(most: int, environ: Mapping[str, str] = os.environ) -> float:
    """Return for how many seconds a run may begin work in a function on Google Cloud.

    That is ``most``, or the function's own timeout if it is shorter (Cloud Run sets
    ``CLOUD_RUN_TIMEOUT_SECONDS``), minus the time that closing a run may take.
    """
    limit = min(most, Settings.load(environ).number("CLOUD_RUN_TIMEOUT_SECONDS") or most)
    return limit - min(30.0, limit / 4)


class Rotate(Protocol):
    """What the scheduled function does: everything that is due."""

    def __call__(self, trigger: str, *, dry_run: bool) -> Response:
        """Do it, or only plan it. Raises :class:`DaenaKMSError` if a key failed."""
        ...


def answer_scheduler(request: Request, rotate: Rotate) -> Response:
    """Answer Cloud Scheduler's request: do what is due, or plan it with ``{"dry_run": true}``.

    If a key failed, the error is raised, so that the job fails.
    """
    if request.principal is None:
        msg = "the platform has verified no caller"
        todo = "Let the job send an OIDC token, and let IAM decide who may invoke the function"
        return problem(Unauthenticated(msg, todo=todo, headers={"www-authenticate": "Bearer"}))
    if request.method != "POST":
        msg = f"this function does not take the method {request.method[:20]!r}"
        todo = "Send a POST, with no body or a JSON object"
        return problem(WrongMethod(msg, todo=todo, headers={"allow": "POST"}))
    try:
        dry_run = _dry_run(request.body or b"")
    except ConfigError as refused:
        return problem(BadRequest(refused.what, todo=refused.todo))
    return rotate("schedule", dry_run=dry_run)


def asks_dry_run(data: object) -> bool:
    """Return whether a schedule's Pub/Sub message asks only for a plan.

    Raises:
        RefusedEvent: the message is malformed.
    """
    _, body = _message(data)
    try:
        return _dry_run(body)
    except ConfigError as refused:
        raise RefusedEvent(refused.what, todo=refused.todo) from None


def rotating_secret(data: object, adapter: "GCPSecretManagerAdapter") -> str | None:
    """Return the key id in an event of Secret Manager, or ``None`` if there is nothing to do.

    Events of other types, and about secrets that can't be keys, are ignored. The event names the
    project by its number, as the secret's own name does, so the secret is looked up.

    Raises:
        RefusedEvent: this is another event, or its secret is in another project or location than
            the adapter's.
    """
    attributes, _ = _message(data)
    kind, name = dig(attributes, "eventType"), dig(attributes, "secretId") or ""
    todo = "Set this topic on secrets of this project and location, and on nothing else"
    if kind is None:
        raise RefusedEvent("the message is not an event of Secret Manager", todo=todo)
    if kind != _TIME_TO_ROTATE:
        logger.info("ignored an event of type %s", shown(repr(kind[:80])))
        return None
    match = _SECRET.fullmatch(name)
    if match is None:
        raise RefusedEvent("the event does not name a secret", todo=todo)
    try:
        key_id = check_key_id(match[2])
    except InvalidKeyId:
        logger.info("ignored an event about a secret that is not a managed key")
        return None
    if name not in _names(key_id, adapter):
        raise RefusedEvent(
            f"the event is about a secret that is not in this project and location, {name[:200]!r}",
            todo=todo,
        )
    return key_id


def _names(key_id: str, adapter: "GCPSecretManagerAdapter") -> set[str]:
    """Return a secret's names, by the project's number and by its id; none if it does not exist."""
    from daena_kms.stores.gcp.state import secret_of

    try:
        name = secret_of(adapter.store.describe(key_id)).name
    except KeyNotFound:
        return set()
    within_project = name.split("/", 2)[2]
    return {name, f"projects/{adapter.login.project}/{within_project}"}


@contextlib.contextmanager
def acknowledged() -> Iterator[None]:
    """Log a :class:`RefusedEvent` as an error instead of raising it.

    Pub/Sub and Eventarc deliver a failed event again, for a day or a week. An event that is wrong
    must therefore be acknowledged: https://cloud.google.com/run/docs/tips/function-retries
    """
    try:
        yield
    except RefusedEvent as refused:
        logger.error("refused an event: %s", shown(refused))


def _message(data: object) -> tuple[object, bytes]:
    """Return the attributes and the content of a Pub/Sub message in a CloudEvent.

    https://cloud.google.com/eventarc/docs/cloudevents-json#pubsub
    """
    todo = "Send CloudEvents of type google.cloud.pubsub.topic.v1.messagePublished"
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        raise RefusedEvent("the event does not hold a Pub/Sub message", todo=todo)
    content = message.get("data") or ""
    try:
        return message.get("attributes"), base64.b64decode(content, validate=True)
    except (TypeError, ValueError):
        raise RefusedEvent("the message's data is not base64", todo=todo) from None


def _dry_run(body: str | bytes) -> bool:
    """Return whether a schedule asks only for a plan. Raises :class:`ConfigError`."""
    todo = 'Send nothing, or a JSON object such as {"dry_run": true}'
    if len(body) > MAX_BODY:
        raise ConfigError(f"the body is over {MAX_BODY} bytes", todo=todo)
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ConfigError("the body is not JSON", todo=todo) from None
    dry_run = document.get("dry_run", False) if isinstance(document, dict) else None
    if not isinstance(dry_run, bool):
        raise ConfigError("the body is not an object whose dry_run is true or false", todo=todo)
    return dry_run
