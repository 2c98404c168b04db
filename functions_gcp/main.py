"""The functions on Google Cloud: ``scheduled`` and ``http``, ``scheduled_event``, ``secret_event``.

Environment: docs/GCP.md. Callers: :func:`daena_kms.platforms.gcp.google_caller`. Permissions: see
:mod:`daena_kms.stores.gcp.store` and :mod:`daena_kms.objects.gcs`.
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
from daena_kms.platforms import gcp
from daena_kms.platforms.gcp_logging import start_logging
from daena_kms.platforms.telemetry import report
from daena_kms.settings import drop_empty


def header(name: str) -> str | None:
    """Return a header of the request that this thread answers, if it answers one."""
    return flask.request.headers.get(name) if flask.has_request_context() else None


start_logging(header)


@functools.cache
def services() -> tuple[GCPSecretManagerAdapter, Objects]:
    """Make the adapter and the log once per process. Both use the function's own identity."""
    drop_empty()
    adapter = GCPSecretManagerAdapter()
    return adapter, open_log(login=adapter.login)


def rotate(trigger: str, keys: list[str] | None = None, *, dry_run: bool = False) -> Response:
    """Do what is due, log and measure it. Raises :class:`DaenaKMSError` if a key failed."""
    run_now = functools.partial(run, *services(), keys=keys, if_due=True, dry_run=dry_run)
    left, caller = gcp.seconds_left(gcp.RUN), gcp.google_caller(header) or "pub/sub"
    report(summary := run_now(deadline=left, trigger=trigger, principal=caller))
    return Response(200, summary.to_dict())


@functions_framework.http
def scheduled(request: flask.Request) -> flask.Response:
    """Rotate what is due, for Cloud Scheduler; fail if a key failed, after all else is done."""
    return answer(asked := gcp.google_request(request), gcp.answer_scheduler(asked, rotate))


@functions_framework.cloud_event
@gcp.acknowledged()
def scheduled_event(event: CloudEvent) -> None:
    """Rotate what is due, for a Cloud Scheduler job that publishes to a Pub/Sub topic."""
    rotate("schedule", dry_run=gcp.asks_dry_run(event.data))


@functions_framework.cloud_event
@gcp.acknowledged()
def secret_event(event: CloudEvent) -> None:
    """Do what is due for one key that Secret Manager names. The event itself rotates nothing."""
    if key_id := gcp.rotating_secret(event.data, services()[0]):
        rotate("event", [key_id])


@functions_framework.http
def http(request: flask.Request) -> flask.Response:
    """Answer a request by :mod:`daena_kms.api`."""
    asked = gcp.google_request(request)
    return answer(asked, respond(asked, services, gcp.seconds_left(gcp.ANSWER)))


def answer(asked: Request, response: Response) -> flask.Response:
    """Log the response and return it in Flask's form."""
    gcp.log_answer(response, asked)
    return flask.Response(response.body, response.status, response.all_headers)
