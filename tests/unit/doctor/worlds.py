"""Each store with its log, as the environment leads the command line to them, all in order."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import Check, Status, examine
from daena_kms.engine import run
from daena_kms.operations import Operations

from infra.local.azure.auth import DELETE_SECRET, RECOVER_SECRET, SET_SECRET, UPDATE_SECRET
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.sim import GcpSimulator
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Service, SimServer
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.kinds import open_world

KEY = "app-key"
#: What no call can tell without a change, or a caller of the API alone can.
NEVER = {
    "local": set[str](),
    "gcp": set[str](),
    "aws": {
        "permission secretsmanager:CreateSecret",
        *("permission lambda:InvokeFunctionUrl", "permission lambda:InvokeFunction"),
    },
    "azure": {
        f"permission {action}"
        for action in (SET_SECRET, UPDATE_SECRET, DELETE_SECRET, RECOVER_SECRET)
    },
}


@dataclass
class Patient:
    """A store and its log. ``sim`` is the cloud, where there is one."""

    provider: str
    sim: Any = None
    #: The KMS key's id, where there is one.
    kms_key: str = ""
    shift: timedelta = field(default_factory=timedelta)

    def create(self, key_id: str = KEY, **tags: str) -> None:
        """Make a key through the log."""
        adapter = get_cloud_kms_adapter(self.provider)
        Operations(adapter, open_log()).create(key_id, tags=tags)

    def schedule(self, now: datetime | None = None, **options: Any) -> None:
        """Let the schedule fire."""
        adapter = get_cloud_kms_adapter(self.provider)
        run(adapter, open_log(), now=now, trigger="schedule", principal="timer", **options)

    def now(self) -> datetime:
        """What this machine's clock says."""
        return datetime.now(UTC) + self.shift

    def checks(self, **options: Any) -> dict[str, Check]:
        """Let the doctor look; each finding has a name of its own."""
        found = list(examine(self.provider, now=self.now, **options))
        assert len({check.name for check in found}) == len(found)
        return {check.name: check for check in found}

    def odd(self, **options: Any) -> dict[str, Check]:
        """Let the doctor look, and return what is not in order."""
        return {n: c for n, c in self.checks(**options).items() if c.status is not Status.OK}


@contextmanager
def patient(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Patient]:
    """Give the store of that name, with nothing in it."""
    with open_world(name, folder) as world:
        world.lead(patch, DAENA_OPERATOR="tester", DAENA_CLOUD_KMS_PROVIDER=name)
        if isinstance(world, AwsWorld):
            world.kms.enable_key_rotation(KeyId=world.kms_key)
        if isinstance(world, AzureWorld):
            world.sim.blobs.protections["audit"] = {"has-immutability-policy"}
        yield Patient(name, getattr(world, "sim", None), getattr(world, "kms_key", ""))


def allow(gcp: GcpSimulator, permissions: list[str] | None) -> None:
    """Let who asks do this alone: over gRPC the emulator's client is nobody."""
    for principal in (ROTATOR, ""):
        gcp.set_role(principal, permissions)


def answer_everything(
    sim: SimServer, patch: pytest.MonkeyPatch, answer: Response, *, but: Collection[str] = ()
) -> None:
    """Let every service give the same answer, but for logins and these operations."""
    real = sim._call

    def call(service: Service, operation: Operation, request: Request) -> Response | None:
        login = operation.challenge or operation.service == "identity"
        if login or operation.name in but:
            return real(service, operation, request)
        return answer

    patch.setattr(sim, "_call", call)
