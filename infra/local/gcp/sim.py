"""Simulates Google Cloud: Secret Manager, Cloud Storage and Cloud KMS, with call log and faults.

In a test::

    with GcpSimulator() as sim:
        client = sim.client(principal="rotator")

As a process of its own: ``SimulatorProcess("gcp")``.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Self

import grpc
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.faults import Call, Effect, Fault, How
from infra.local.gcp import iam as gcp_iam
from infra.local.gcp.client import ROTATOR, connect
from infra.local.gcp.grpc import GrpcFront, Message, Rpc, methods
from infra.local.gcp.in_process import Channel
from infra.local.gcp.kms import CloudKms
from infra.local.gcp.metadata import Metadata
from infra.local.gcp.names import PROJECT, PROJECT_NUMBER, GcpError, Parent, invalid
from infra.local.gcp.quotas import Quotas
from infra.local.gcp.secrets import SecretOperations
from infra.local.gcp.storage import Storage
from infra.local.gcp.storage_documents import StorageJson
from infra.local.gcp.store import Clock, SecretStore
from infra.local.server import SimServer
from infra.local.simulator import options, serve

__all__ = ["BUCKET", "PROJECT", "PROJECT_NUMBER", "GcpSimulator", "connect"]

SERVICE = "secretmanager"
BUCKET = "audit"


def utc_now() -> datetime:
    """Return the real time."""
    return datetime.now(UTC)


class GcpSimulator(SimServer):
    """Secret Manager over gRPC at ``target``; the rest and the controls over HTTP at ``url``.

    ``secrets``, ``storage`` and ``kms`` hold their state. ``roles`` holds the IAM permissions of
    each principal; a principal that is not in it may do everything.

    Args:
        location: the region whose secrets a client means that names none; by default the global
            ones.
    """

    def __init__(
        self,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        location: str | None = None,
        buckets: tuple[str, ...] = (BUCKET,),
        port: int = 0,
    ) -> None:
        self._clock = clock
        self._shift = timedelta()
        self._monotonic = monotonic
        self.roles: dict[str, set[str]] = {}
        self.secrets = SecretStore(self.now, location)
        self.storage = Storage(self.now, buckets, self.roles)
        self._quotas: Quotas | None = None
        self._clients: list[SecretManagerServiceClient] = []
        self.metadata = Metadata()
        self.projects = gcp_iam.ResourceManager(self.roles)
        self.policies = StorageJson(buckets, self.roles)
        self.kms = CloudKms(self.roles)
        http = (self.metadata, self.projects, self.policies, self.kms, self.storage)
        super().__init__(http, monotonic=monotonic)
        table = methods(SecretOperations(self.secrets))
        table[gcp_iam.OPERATION] = gcp_iam.METHOD
        self._front = GrpcFront(table, self._serve, location, port)

    @property
    def target(self) -> str:
        """The address of Secret Manager, without TLS."""
        return f"127.0.0.1:{self._front.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead an SDK and our functions to this project."""
        host = self.url.removeprefix("http://")
        return {
            "DAENA_KMS_AUDIT_URL": f"gs://{BUCKET}/audit",
            "GCE_METADATA_HOST": host,
            "GCE_METADATA_IP": host,
            "GCP_KMS_ENDPOINT": self.url,
            "GCP_PROJECT_ID": PROJECT,
            "GCP_RESOURCE_MANAGER_ENDPOINT": self.url,
            "GCP_SECRET_MANAGER_ENDPOINT": self.target,
            "GCP_STORAGE_ENDPOINT": self.url,
        }

    def addresses(self) -> dict[str, object]:
        """Return what a simulator in its own process prints as JSON; ``url`` takes the controls."""
        return super().addresses() | {"target": self.target}

    def client(
        self, principal: str = ROTATOR, *, location: str | None = None, wire: bool = True
    ) -> SecretManagerServiceClient:
        """Return an SDK client, which is closed when the server stops.

        Without ``wire`` it makes a call in this process where others use the connection.
        """
        channel = None if wire else Channel(self.ask_rpc)
        made = connect(self.target, principal=principal, location=location, channel=channel)
        self._clients.append(made)
        return made

    def ask_rpc(self, name: str, request: bytes, metadata: Mapping[str, str]) -> bytes:
        """Answer a client of Secret Manager in this process as one on the wire."""
        return self._front.ask(name, request, metadata)

    def start(self) -> Self:
        """Begin to serve."""
        super().start()
        self._front.start()
        return self

    def stop(self) -> None:
        """End every connection and thread.

        Raises:
            ExceptionGroup: what went wrong inside the simulator while it ran.
        """
        for made in self._clients:
            made.transport.close()  # type: ignore[no-untyped-call]  # as it is declared
        self._stopping.set()
        self._front.stop()
        super().stop()
        if self._front.crashes:
            message = "the simulator itself failed"
            raise ExceptionGroup(message, self._front.crashes)

    def now(self) -> datetime:
        """Return the simulated time, which every date in an answer comes from."""
        return self._clock() + self._shift

    def shift_clock(self, *, seconds: float) -> None:
        """Move the simulated time; shifts add up."""
        self._shift += timedelta(seconds=seconds)

    def set_role(self, principal: str, permissions: list[str] | None) -> None:
        """Allow a principal these permissions only. None allows everything."""
        self.roles.pop(principal, None)
        if permissions is not None:
            self.roles[principal] = set(permissions)

    def enforce_quotas(self, *, enforced: bool = True) -> None:
        """Throttle what exceeds Secret Manager's own quotas, by ``monotonic``; or no more."""
        with self._lock:
            self._quotas = Quotas(self._monotonic) if enforced else None

    def freeze_listing(self) -> None:
        """Freeze the answers of ListSecrets as they are now. Other operations stay live."""
        with self._lock:
            self.secrets.freeze_listing()

    def unfreeze_listing(self) -> None:
        """Let ListSecrets answer live again."""
        self.secrets.unfreeze_listing()

    def freeze_versions(self) -> None:
        """Freeze the answers of ListSecretVersions as they are now."""
        with self._lock:
            self.secrets.freeze_versions()

    def unfreeze_versions(self) -> None:
        """Let ListSecretVersions answer live again."""
        self.secrets.unfreeze_versions()

    def freeze_aliases(self) -> None:
        """Freeze where aliases and ``latest`` lead. Access by number stays live."""
        with self._lock:
            self.secrets.freeze_aliases()

    def unfreeze_aliases(self) -> None:
        """Let aliases lead where the secret says again."""
        self.secrets.unfreeze_aliases()

    def freeze_states(self) -> None:
        """Let versions be read in the states that they are in now."""
        with self._lock:
            self.secrets.freeze_states()

    def unfreeze_states(self) -> None:
        """Let versions be read in the states that they are in."""
        self.secrets.unfreeze_states()

    def controls(self) -> dict[str, Callable[..., object]]:
        """Return what can be called over HTTP."""
        own = (
            *(self.shift_clock, self.set_role, self.enforce_quotas),
            *(self.freeze_listing, self.unfreeze_listing),
            *(self.freeze_versions, self.unfreeze_versions),
            *(self.freeze_aliases, self.unfreeze_aliases),
            *(self.freeze_states, self.unfreeze_states),
        )
        return super().controls() | {method.__name__: method for method in own}

    def _serve(self, rpc: Rpc) -> Message:
        call = self.calls.add(SERVICE, rpc.name, rpc.params(), rpc.principal)
        fault = self.faults.next(SERVICE, rpc.name, rpc.method.group)
        if self.latency:
            self.pause(self.latency)
        try:
            if fault is not None and fault.effect is not Effect.FAIL_AFTER:
                raise _failure(fault, call, rpc)
            with self._lock:
                answer = self._perform(rpc)
        except GcpError as error:
            if call.outcome == "under way":
                call.outcome = error.code.name
            raise
        if fault is not None:
            raise _failure(fault, call, rpc)
        call.outcome = "ok"
        return answer

    def _perform(self, rpc: Rpc) -> Message:
        parent = _parent(rpc.resource)
        if parent.project != PROJECT_NUMBER or not self._may(rpc):
            raise _denied(rpc)
        if parent.location != rpc.location:
            raise invalid(f"This endpoint does not serve resources of {parent}.")
        if self._quotas and not self._quotas.take(rpc.name, rpc.resource, parent):
            raise _exhausted()
        if rpc.name == gcp_iam.OPERATION:
            return gcp_iam.on_secret(self.secrets, self.roles, rpc.principal, rpc.request)
        return rpc.method.run(rpc.request)

    def _may(self, rpc: Rpc) -> bool:
        allowed = self.roles.get(rpc.principal)
        return allowed is None or rpc.method.permission in {*allowed, ""}


def _parent(resource: str) -> Parent:
    """Return where a resource is, whatever kind it has."""
    return Parent.parse(resource.partition("/secrets/")[0])


def _failure(fault: Fault, call: Call, rpc: Rpc) -> GcpError:
    """Return the error of a planned fault. A hanging call waits until its client gives up."""
    if fault.effect is Effect.DENY:
        return _denied(rpc)
    if fault.effect is Effect.THROTTLE:
        return _exhausted()
    if fault.effect is Effect.STALE:
        raise NotImplementedError(rpc.name)
    call.outcome = fault.effect.value
    if fault.effect is Effect.HANG:
        if rpc.gone is None:
            raise NotImplementedError("a client in this process has no time limit")
        rpc.gone.wait()
    if fault.how is How.ERROR:
        return GcpError(grpc.StatusCode.INTERNAL, "An internal error has occurred.")
    # The client's error for a lost connection. It can't tell whether the call took effect.
    return GcpError(grpc.StatusCode.UNAVAILABLE, "Socket closed")


def _denied(rpc: Rpc) -> GcpError:
    what = f"Permission '{rpc.method.permission}' denied for resource '{rpc.resource}'"
    return GcpError(grpc.StatusCode.PERMISSION_DENIED, f"{what} (or it may not exist).")


def _exhausted() -> GcpError:
    return GcpError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded for quota metric.")


def main() -> None:
    """Run the simulator until SIGTERM or SIGINT."""
    given = options("Simulated Google Cloud on loopback; --port is Secret Manager's").parse_args()
    serve(GcpSimulator(port=given.port), given)


if __name__ == "__main__":
    main()
