"""The Azure functions: ``scheduled`` by a timer, ``expiring`` by an event, ``http`` and ``health``.

App settings: ``AZURE_KEY_VAULT_URL``, ``DAENA_KMS_AUDIT_URL`` (``az://account/container``),
``DAENA_KMS_SCHEDULE`` (six fields), ``AZURE_CLIENT_ID`` of a user-assigned identity, the policy's
defaults. Permissions: see :mod:`daena_kms.stores.azure.store` and :mod:`daena_kms.objects.azure`.
"""

import functools
import json
import logging
import os

import azure.functions as func
from daena_kms.api import METHODS, respond
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.engine import run
from daena_kms.objects.base import Objects
from daena_kms.platforms.azure import expiring_secret, function_app_request, type_of_event
from daena_kms.platforms.telemetry import report
from daena_kms.settings import drop_empty

# Seconds to begin work: host.json's limit and the front end's, minus the time for closing a run.
RUN, ANSWER = 480, 150

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
logger = logging.getLogger("daena_kms.function")


@functools.cache
def services() -> tuple[AzureKeyVaultAdapter, Objects]:
    """Make the adapter and the log once per process. Both use the function's own identity."""
    drop_empty()
    adapter = AzureKeyVaultAdapter()
    return adapter, open_log(login=adapter.login)


def rotate(trigger: str, principal: str, keys: list[str] | None = None) -> None:
    """Do what is due, log and measure it. Raises :class:`DaenaKMSError` if a key failed."""
    run_now = functools.partial(run, *services(), keys=keys, if_due=True, deadline=RUN)
    report(run_now(trigger=trigger, principal=principal), trigger)


@app.timer_trigger("timer", "%DAENA_KMS_SCHEDULE%", run_on_startup=False, use_monitor=True)
@app.retry("fixed_delay", max_retry_count="2", delay_interval="00:01:00")
def scheduled(timer: func.TimerRequest) -> None:
    """Rotate what is due, and fail if a key failed, after everything else has been done."""
    if timer.past_due:
        logger.warning(json.dumps({"event": "past due", "isPastDue": True}))
    rotate("schedule", f"function app {os.environ.get('WEBSITE_SITE_NAME', 'without a name')}")


@app.event_grid_trigger("event")
def expiring(event: func.EventGridEvent) -> None:
    """Do what is due for one key whose version expires soon. The event itself rotates nothing."""
    key_id = expiring_secret(type_of_event(event), event.get_json(), services()[0].vault)
    if key_id is not None:
        rotate("event", "event grid", [key_id])


@app.route("v1/{*path}", methods=METHODS)
def http(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Answer a caller with a function's key, or one that Entra ID has verified."""
    return answer(req, context.invocation_id, verified=True)


@app.route("v1/health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Answer anybody whether the configuration can be used."""
    return answer(req, context.invocation_id, verified=False)


def answer(req: func.HttpRequest, invocation: str, *, verified: bool) -> func.HttpResponse:
    """Answer one request by :mod:`daena_kms.api`; ``verified``: the host let the caller through."""
    request = function_app_request(req, invocation, os.environ if verified else None)
    reply = respond(request, services, ANSWER)
    logger.info(json.dumps({"event": "http", **reply.log_entry(request)}))
    return func.HttpResponse(reply.body, status_code=reply.status, headers=reply.all_headers)
