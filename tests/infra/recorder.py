"""A plugin of pytest: writes down which calls came to the simulated AWS, and who made them.

``DAENA_RECORD_CALLS`` names the file: a JSON object of the actions by the caller's access key.
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from infra.local.faults import Call, CallLog

#: docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
S3_ACTIONS = {"ListObjectsV2": "s3:ListBucket", "HeadObject": "s3:GetObject"}
SERVICES = {"kms", "s3", "secretsmanager"}

_CALLS: list[Call] = []
_PATCH = pytest.MonkeyPatch()


def pytest_configure() -> None:
    """Keep every call, also those that a simulator is told to forget."""
    add = CallLog.add

    def keep(log: CallLog, *call: Any) -> Call:
        added = add(log, *call)
        _CALLS.append(added)
        return added

    _PATCH.setattr(CallLog, "add", keep)


def pytest_unconfigure() -> None:
    """Write them down; a call that was refused proves no need of a permission."""
    _PATCH.undo()
    found: dict[str, set[str]] = defaultdict(set)
    for call in _CALLS:
        if call.outcome == "ok" and call.service in SERVICES:
            action = f"{call.service}:{call.operation}"
            found[call.access_key].add(S3_ACTIONS.get(call.operation, action))
    document = {caller: sorted(actions) for caller, actions in found.items()}
    Path(os.environ["DAENA_RECORD_CALLS"]).write_text(json.dumps(document), encoding="utf-8")
