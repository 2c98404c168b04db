"""Secret Manager's wire: a gRPC server on the client's own types, with faults and permissions."""

import functools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
    AddSecretVersionRequest,
    CreateSecretRequest,
    DeleteSecretRequest,
    DestroySecretVersionRequest,
    DisableSecretVersionRequest,
    EnableSecretVersionRequest,
    GetSecretRequest,
    GetSecretVersionRequest,
    ListSecretsRequest,
    ListSecretsResponse,
    ListSecretVersionsRequest,
    ListSecretVersionsResponse,
    SecretVersion,
    UpdateSecretRequest,
)
from google.cloud.secretmanager_v1.types import Secret as SecretMessage

from infra.local.gcp.names import GcpError
from infra.local.gcp.secrets import SecretOperations

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
PRINCIPAL, LOCATION = "x-sim-principal", "x-sim-location"
WORKERS = 64
WRITES = "writes"
REDACTED = "(not recorded)"

# The types of the wire are proto-plus's, which has no stubs: every message is Any to mypy.
type Message = Any


@dataclass(frozen=True, slots=True)
class Method:
    """One method: its types, what carries it out, and the permission that it takes."""

    request: Message
    answer: Message
    run: Callable[[Message], Message]
    #: Empty where none is needed.
    permission: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Rpc:
    """One call as it came: ``location`` is the endpoint's, None on the global one."""

    name: str
    method: Method
    request: Message
    principal: str
    location: str | None
    gone: threading.Event | None
    """Set when nobody waits for the answer any more; None for a client in this process."""

    @property
    def resource(self) -> str:
        """The name that the call is about."""
        for member in ("name", "parent"):
            if member in type(self.request).meta.fields:
                return str(getattr(self.request, member))
        return str(self.request.secret.name)

    def params(self) -> dict[str, object]:
        """Return the request for the call log, without the value."""
        fields: dict[str, object] = type(self.request).to_dict(
            self.request, always_print_fields_with_no_presence=False
        )
        return {name: REDACTED if name == "payload" else fields[name] for name in fields}


def methods(operations: SecretOperations) -> dict[str, Method]:
    """Return the methods by name.

    Permissions: cloud.google.com/secret-manager/docs/access-control. A write is what "changes or
    deletes secrets or secret versions" (cloud.google.com/secret-manager/quotas).
    """
    o, version = operations, SecretVersion
    secrets, versions = "secretmanager.secrets.", "secretmanager.versions."
    return {
        "ListSecrets": Method(ListSecretsRequest, ListSecretsResponse, o.list, secrets + "list"),
        "CreateSecret": Method(
            CreateSecretRequest, SecretMessage, o.create, secrets + "create", WRITES
        ),
        "AddSecretVersion": Method(
            AddSecretVersionRequest, version, o.add_version, versions + "add", WRITES
        ),
        "GetSecret": Method(GetSecretRequest, SecretMessage, o.get, secrets + "get"),
        "UpdateSecret": Method(
            UpdateSecretRequest, SecretMessage, o.update, secrets + "update", WRITES
        ),
        "DeleteSecret": Method(DeleteSecretRequest, None, o.delete, secrets + "delete", WRITES),
        "ListSecretVersions": Method(
            ListSecretVersionsRequest,
            ListSecretVersionsResponse,
            o.list_versions,
            versions + "list",
        ),
        "GetSecretVersion": Method(
            GetSecretVersionRequest, version, o.get_version, versions + "get"
        ),
        "AccessSecretVersion": Method(
            AccessSecretVersionRequest,
            AccessSecretVersionResponse,
            o.access_version,
            versions + "access",
        ),
        "DisableSecretVersion": Method(
            DisableSecretVersionRequest, version, o.disable_version, versions + "disable", WRITES
        ),
        "EnableSecretVersion": Method(
            EnableSecretVersionRequest, version, o.enable_version, versions + "enable", WRITES
        ),
        "DestroySecretVersion": Method(
            DestroySecretVersionRequest, version, o.destroy_version, versions + "destroy", WRITES
        ),
    }


class GrpcFront:
    """Serves the methods on a free loopback port; ``answer`` is told of each call."""

    def __init__(
        self,
        table: Mapping[str, Method],
        answer: Callable[[Rpc], Message],
        location: str | None,
        port: int = 0,
    ) -> None:
        self.crashes: list[Exception] = []
        self._table = table
        self._answer = answer
        self._location = location
        self._pool = ThreadPoolExecutor(WORKERS)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        handlers = {name: self._handler(name, method) for name, method in table.items()}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, handlers),)
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()

    def stop(self) -> None:
        """End every call and thread."""
        self._server.stop(None).wait()
        self._pool.shutdown()

    def ask(self, name: str, request: bytes, metadata: Mapping[str, str]) -> bytes:
        """Answer a client in this process as one on the wire: no socket, no thread.

        Raises:
            GcpError: as the client is to see it.
        """
        method = self._table[name]
        try:
            rpc = self._rpc(name, method, method.request.deserialize(request), metadata, None)
            return _written(method, self._answer(rpc))
        except GcpError:
            raise
        except Exception as error:
            # Raised again when the simulator stops: a client may take it for a fault.
            self.crashes.append(error)
            raise

    def _handler(self, name: str, method: Method) -> "grpc.RpcMethodHandler[Message, Message]":
        def serve(request: Message, context: grpc.ServicerContext) -> Message:
            gone = threading.Event()
            if not context.add_callback(gone.set):
                gone.set()
            metadata = {key: str(value) for key, value in context.invocation_metadata()}
            try:
                return self._answer(self._rpc(name, method, request, metadata, gone))
            except GcpError as error:
                # Raises what gRPC itself understands.
                context.abort(error.code, error.message)
            except Exception as error:
                # Raised again when the simulator stops; a client would take it for a fault.
                self.crashes.append(error)
                raise

        return grpc.unary_unary_rpc_method_handler(
            serve,
            request_deserializer=method.request.deserialize,
            response_serializer=functools.partial(_written, method),
        )

    def _rpc(
        self,
        name: str,
        method: Method,
        request: Message,
        metadata: Mapping[str, str],
        gone: threading.Event | None,
    ) -> Rpc:
        token = metadata.get("authorization", "").removeprefix("Bearer ")
        return Rpc(
            name,
            method,
            request,
            principal=metadata.get(PRINCIPAL, token),
            location=metadata.get(LOCATION, self._location),
            gone=gone,
        )


def _written(method: Method, answer: Message) -> bytes:
    """Write an answer; of a method that gives none, protobuf's message without fields."""
    return b"" if method.answer is None else bytes(method.answer.serialize(answer))
