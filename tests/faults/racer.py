"""One of many processes that rotate one key of a store at the same time.

This module is loaded once, by the process that the others are forked from: what it imports costs
once. A cloud's simulator and SDK are imported by those that need them.
"""

import multiprocessing
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path

from daena_kms.audit import open_log
from daena_kms.cloud_kms import (
    AzureKeyVaultAdapter,
    CloudKMSAdapter,
    GCPSecretManagerAdapter,
    LocalAdapter,
)
from daena_kms.engine import run
from daena_kms.errors import RotationConflict
from daena_kms.kms import KeyManagementService
from daena_kms.objects.base import Objects

#: What became of the key in one of the processes.
ROTATED, SKIPPED, FAILED, IDLE, CONFLICT = "rotated", "skipped", "failed", "idle", "conflict"
_SECONDS = 60


def outcome_of_a_run(folder: Path, key_id: str, now: datetime) -> str:
    """Run the engine on a local store and return what became of the key."""
    adapter, log = LocalAdapter(folder / "store"), open_log((folder / "audit").as_uri())
    return outcome(adapter, log, key_id, now)


@dataclass(frozen=True)
class AzureRun:
    """A run on a simulated vault, its claims in a container that a key of the account opens."""

    vault_url: str
    ca_file: str
    environment: dict[str, str]

    def __call__(self, folder: Path, key_id: str, now: datetime) -> str:
        """Run the engine and return what became of the key."""
        from infra.local.azure.sim import secrets_client

        os.environ.update(self.environment)
        adapter = AzureKeyVaultAdapter(secret_client=secrets_client(self.vault_url, self.ca_file))
        return outcome(adapter, open_log((folder / "audit").as_uri()), key_id, now)


@dataclass(frozen=True)
class GcpRun:
    """A run on a simulated Secret Manager."""

    target: str

    def __call__(self, folder: Path, key_id: str, now: datetime) -> str:
        """Run the engine and return what became of the key."""
        from infra.local.gcp.client import connect
        from infra.local.gcp.names import PROJECT

        adapter = GCPSecretManagerAdapter(PROJECT, client=connect(self.target))
        return outcome(adapter, open_log((folder / "audit").as_uri()), key_id, now)


def outcome(adapter: CloudKMSAdapter, log: Objects, key_id: str, now: datetime) -> str:
    """Run the engine and return what became of the key."""
    summary = run(adapter, log, now=now)
    for name, ids in (
        (ROTATED, summary.rotated),
        (ROTATED, summary.finished),
        (SKIPPED, summary.skipped),
        (FAILED, summary.failed),
    ):
        if key_id in ids:
            return name
    return IDLE


def outcome_of_a_call(folder: Path, key_id: str, now: datetime) -> str:
    """Rotate with the adapter's own method."""
    del now
    try:
        LocalAdapter(folder / "store").rotate_key(key_id)
    except RotationConflict:
        return CONFLICT
    return ROTATED


def record_one(folder: Path, key_id: str, now: datetime) -> str:
    """Record a rotation of a key of its own with the key management service."""
    del now
    os.environ["DAENA_KMS_SIGNING_KEY"] = str(folder / "signing.pem")
    kms = KeyManagementService(
        adapter=LocalAdapter(folder / "store"), log=open_log((folder / "audit").as_uri())
    )
    kms.record_rotation(secrets.token_urlsafe(), f"{key_id}-{os.getpid()}")
    return ROTATED


def record_at_home(folder: Path, key_id: str, now: datetime) -> str:
    """Record with nothing set but the home, which nobody has used before."""
    del now
    os.environ["DAENA_KMS_HOME"] = str(folder / "home")
    KeyManagementService().record_rotation(secrets.token_urlsafe(), f"{key_id}-{os.getpid()}")
    return ROTATED


type Race = Callable[[Path, str, datetime], str]


def race(one: Race, folder: Path, key_id: str, now: datetime, processes: int) -> list[str]:
    """Let that many processes do it at the same moment, and return what each came to."""
    # From a server without threads: to fork a process that has some is not safe.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier, results = context.Barrier(processes), context.SimpleQueue()
    started = [
        context.Process(target=_at_once, args=(barrier, results, one, folder, key_id, now))
        for _ in range(processes)
    ]
    for process in started:
        process.start()
    outcomes = [results.get() for _ in started]
    for process in started:
        process.join(_SECONDS)
        process.close()
    return outcomes


def _at_once(
    barrier: Barrier,
    results: "multiprocessing.SimpleQueue[str]",
    one: Race,
    folder: Path,
    key_id: str,
    now: datetime,
) -> None:
    try:
        barrier.wait(_SECONDS)
        results.put(one(folder, key_id, now))
    except BaseException as error:
        # The parent waits for one answer from each.
        results.put(type(error).__name__)
        raise
