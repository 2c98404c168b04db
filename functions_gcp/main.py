"""The functions on Google Cloud: ``scheduled`` and ``http``, ``scheduled_event``, ``secret_event``.

Environment: ``GCP_PROJECT_ID``, ``DAENA_KMS_AUDIT_URL`` (``gs://bucket/prefix``),
``GCP_INVOKER_IAM_CHECK`` (see :func:`daena_kms.platforms.gcp.google_caller`), and the policy's
defaults. Permissions: see :mod:`daena_kms.stores.gcp.store` and :mod:`daena_kms.objects.gcs`.
"""

import functools

import flask
import functions_framework
from cloudevents.http import CloudEvent
from daena_kms.api import respond
from daena_kms.api.messages import Request, Response
from daena_kms.audit import open_log
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.engine import run
from daena_kms.objects.base import Objects
from daena_kms.platforms import gcp as events
from daena_kms.platforms.gcp_logging import start_logging
from daena_kms.platforms.telemetry import report


def header(name: str) -> str | None:
    """Return a header of the request that this thread answers, where it answers one."""
    return flask.request.headers.get(name) if flask.has_request_context() else None


start_logging(header)


@functools.cache
def services() -> tuple[GCPSecretManagerAdapter, Objects]:
    """Make the adapter and the log once per process; both use the function's own identity."""
    adapter = GCPSecretManagerAdapter()
    return adapter, open_log(login=adapter.login)


def rotate(trigger: str, keys: list[str] | None = None, *, dry_run: bool = False) -> Response:
    """Do what is due, log and measure what was done, and fail if a key failed."""
    left, who = events.seconds_left(events.RUN), events.google_caller(header) or "pub/sub"
    how = functools.partial(run, keys=keys, if_due=True, dry_run=dry_run, deadline=left)
    summary = how(*services(), trigger=trigger, principal=who)
    report(summary)
    return Response(200, summary.to_dict())


@functions_framework.http
def scheduled(request: flask.Request) -> flask.Response:
    """Rotate what is due, for Cloud Scheduler. Fails when a key failed, after all else was done."""
    return answer(asked := events.google_request(request), events.answer_scheduler(asked, rotate))


@functions_framework.cloud_event
@events.acknowledged()
def scheduled_event(event: CloudEvent) -> None:
    """Rotate what is due, for Cloud Scheduler by way of a Pub/Sub topic."""
    rotate("schedule", dry_run=events.asks_dry_run(event.data))


@functions_framework.cloud_event
@events.acknowledged()
def secret_event(event: CloudEvent) -> None:
    """Do what is due of one key that Secret Manager reminds of; an event is a hint, no order."""
    if key_id := events.rotating_secret(event.data, services()[0]):
        rotate("event", [key_id])


@functions_framework.http
def http(request: flask.Request) -> flask.Response:
    """Answer the API of :mod:`daena_kms.api`."""
    asked = events.google_request(request)
    return answer(asked, respond(asked, services, events.seconds_left(events.ANSWER)))


def answer(asked: Request, found: Response) -> flask.Response:
    """Log and return an answer."""
    events.log_answer(found, asked)
    return flask.Response(found.body, found.status, found.all_headers)
