"""The handlers of ``/v1/plan`` and ``/v1/runs``: show what is due, and do it."""

from daena_kms.api.access import Permission
from daena_kms.api.call import TRIGGER, Call
from daena_kms.api.fields import DRY_RUN, REASON
from daena_kms.api.messages import Response
from daena_kms.engine import run
from daena_kms.rules.summary import action_record


def plan(call: Call) -> Response:
    """Answer what a run would do with each key that the caller may read. Changes nothing."""
    summary = run(
        call.adapter, call.log, dry_run=True, deadline=call.deadline, principal=call.principal
    )
    actions = [
        action_record(action)
        for action in summary.actions
        if call.access.allows(call.principal, Permission.READ, action.key_id)
    ]
    return Response(200, {"actions": actions})


def start(call: Call) -> Response:
    """Do what is due, as the schedule does, as far as the time for the answer allows."""
    summary = run(
        call.adapter,
        call.log,
        dry_run=call.value(DRY_RUN),
        deadline=call.deadline,
        trigger=TRIGGER,
        reason=call.value(REASON),
        principal=call.principal,
    )
    return Response(200, summary.to_dict())
