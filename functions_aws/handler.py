"""The AWS Lambda functions: ``scheduled`` for EventBridge, ``http`` for a function URL.

Environment: ``DAENA_KMS_AUDIT_URL`` (``s3://bucket/prefix``), ``AWS_KMS_KEY_ID``, and the defaults
of the policy. Permissions: see :mod:`daena_kms.stores.aws.store` and :mod:`daena_kms.objects.s3`.
"""

import functools
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from daena_kms.api import respond
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects
from daena_kms.platforms.aws import lambda_request, lambda_response, seconds_to_answer
from daena_kms.settings import drop_empty

logger = Logger(service="daena-kms")
metrics = Metrics(namespace="daena-kms", service="rotation")


@functools.cache
def services() -> tuple[AWSKMSAdapter, Objects]:
    """Make the adapter and the log once per process. Both use the function's own role."""
    drop_empty()
    adapter = AWSKMSAdapter()
    return adapter, open_log(session=adapter.aws.session())


def seconds_left(context: Any) -> float:
    """Return for how many seconds a run may begin work; the rest is for closing the run."""
    left = float(context.get_remaining_time_in_millis()) / 1000
    return left - min(30.0, left / 4)


def scheduled(event: object, context: Any) -> dict[str, Any]:
    """Rotate what is due, and fail if a key failed, after everything else has been done.

    Args:
        event: what EventBridge Scheduler or a rule sends, or ``{"dry_run": true}`` for a plan.
        context: Lambda's context of the invocation.

    Raises:
        DaenaKMSError: a key failed, or nothing could be done.
    """
    if not isinstance(event, Mapping) or not isinstance(event.get("dry_run", False), bool):
        todo = 'Send what EventBridge sends, or {"dry_run": true}'
        raise ConfigError("the event is not an object that this function knows", todo=todo)
    summary = run(
        *services(),
        dry_run=event.get("dry_run", False),
        deadline=seconds_left(context),
        trigger="schedule",
        principal=str(context.invoked_function_arn),
    )
    # A plan sends no metrics: an alarm would take them for a run that has ended.
    if not summary.dry_run:
        for name, count in summary.counts().items():
            unit = MetricUnit.Seconds if name == "lateness" else MetricUnit.Count
            metrics.add_metric(name=name, unit=unit, value=count)
        seconds = summary.duration.total_seconds()
        metrics.add_metric(name="duration", unit=MetricUnit.Seconds, value=seconds)
        metrics.flush_metrics()
    logger.info("run", extra={"summary": summary.to_dict()})
    summary.raise_if_failed()
    return summary.to_dict()


def http(event: object, context: Any) -> dict[str, Any]:
    """Answer a request from a function URL or an API Gateway by :mod:`daena_kms.api`."""
    request = lambda_request(event)
    answer = respond(request, services, min(seconds_to_answer(event), seconds_left(context)))
    logger.info("http", extra=answer.log_entry(request))
    return lambda_response(answer)
