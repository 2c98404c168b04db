"""Official Secret Manager clients of a simulator, also of one in another process."""

from collections.abc import Callable
from typing import NamedTuple

import grpc
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

from infra.local.gcp.grpc import LOCATION, PRINCIPAL, Message

ROTATOR = "rotator"

# As the client's own channels have it: a page may be longer than gRPC's usual 4 MiB. A proxy from
# the environment is not for loopback.
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
)


def connect(
    target: str,
    *,
    principal: str = ROTATOR,
    location: str | None = None,
    channel: grpc.Channel | None = None,
) -> SecretManagerServiceClient:
    """Return a client; ``location`` stands for the endpoint of regional secrets there.

    ``channel`` is used instead of a connection to the target.

    In the cloud that endpoint is ``secretmanager.LOCATION.rep.googleapis.com``, and a principal
    follows from credentials; here both are metadata of each call.
    """
    metadata = [(PRINCIPAL, principal)]
    if location is not None:
        metadata.append((LOCATION, location))
    opened = channel or grpc.insecure_channel(target, options=_OPTIONS)
    marked = grpc.intercept_channel(opened, _Metadata(metadata))
    return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=marked))


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: list[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: Message


class _Metadata(grpc.UnaryUnaryClientInterceptor):
    """Adds metadata to every call."""

    def __init__(self, metadata: list[tuple[str, str]]) -> None:
        self._metadata = metadata

    def intercept_unary_unary(
        self, continuation: Callable[..., Message], client_call_details: Message, request: Message
    ) -> Message:
        """Make the call with the metadata added."""
        details = client_call_details
        return continuation(
            _Details(
                details.method,
                details.timeout,
                [*(details.metadata or ()), *self._metadata],
                details.credentials,
                details.wait_for_ready,
                details.compression,
            ),
            request,
        )
