"""Simulates Azure: Key Vault over TLS and Blob Storage, with a call log, faults and a clock.

In a test::

    with AzureSimulator() as sim:
        client = sim.secrets_client()

As a process of its own: ``SimulatorProcess("azure")``.
"""

import atexit
import secrets
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import trustme

from infra.local.azure.auth import OWNER, Roles, SimulatedCredential, Tokens
from infra.local.azure.blob import ACCOUNT, BlobStorage
from infra.local.azure.documents import Clock, utc_now
from infra.local.azure.identity import PATH as IDENTITY_PATH
from infra.local.azure.identity import Identity
from infra.local.azure.in_process import InProcess
from infra.local.azure.keyvault import SERVICE as KEYVAULT
from infra.local.azure.keyvault import KeyVault
from infra.local.server import SimServer
from infra.local.simulator import options, serve

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

VAULT_HOST = "localhost"
CONTAINERS = ("audit", "claims")


class Certificates(NamedTuple):
    """A certificate authority, and the context of a server whose certificate it signed."""

    ca_file: str
    context: ssl.SSLContext


@cache
def certificates() -> Certificates:
    """Make an authority and a certificate for localhost, once in a process."""
    folder = tempfile.TemporaryDirectory(prefix="azure-sim-")
    atexit.register(folder.cleanup)
    authority = trustme.CA()
    ca_file = Path(folder.name) / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(VAULT_HOST, "127.0.0.1").configure_cert(context)
    return Certificates(str(ca_file), context)


class AzureSimulator(SimServer):
    """Serves ``secrets``, the vault, and ``blobs``, the storage account, which hold the state."""

    can_be_stale = frozenset({KEYVAULT})

    def __init__(
        self,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        containers: tuple[str, ...] = CONTAINERS,
        port: int = 0,
        blob_port: int = 0,
    ) -> None:
        self.ca_file, context = certificates()
        self._clock = clock
        self._monotonic = monotonic
        self._shift = timedelta()
        self._passed = 0.0
        self._clients: list[SecretClient] = []
        self.roles = Roles()
        self.roles.assign(OWNER, ("*",))
        tokens = Tokens(self.ca_file)
        self.secrets = KeyVault(self.now, tokens, self.roles, self.elapsed)
        self.blobs = BlobStorage(self.now, tokens, self.roles, containers)
        self.identity = Identity(tokens)
        super().__init__(
            (self.secrets, self.identity, self.blobs),
            port=blob_port,
            monotonic=monotonic,
            tls=(context, port),
        )

    @property
    def vault_url(self) -> str:
        """The vault's address."""
        return f"https://{VAULT_HOST}:{self.tls_port}"

    @property
    def blob_url(self) -> str:
        """The storage account's address. The controls are at the same host and port."""
        return f"{self.url}/{ACCOUNT}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead an app to the vault, the account and a managed identity."""
        return {
            "AZURE_KEY_VAULT_URL": self.vault_url,
            "AZURE_STORAGE_ENDPOINT": self.blob_url,
            "DAENA_KMS_AUDIT_URL": f"az://{ACCOUNT}/audit",
            "IDENTITY_ENDPOINT": f"{self.url}{IDENTITY_PATH}",
            "IDENTITY_HEADER": self.identity.header,
            "REQUESTS_CA_BUNDLE": self.ca_file,
        }

    def addresses(self) -> dict[str, object]:
        """Return what a simulator in its own process prints as JSON; ``url`` takes the controls."""
        own = {"vault_url": self.vault_url, "blob_url": self.blob_url, "ca_file": self.ca_file}
        return super().addresses() | own

    def now(self) -> datetime:
        """Return the simulated time, which every date in an answer comes from."""
        return self._clock() + self._shift

    def credential(self, principal: str = OWNER, **options: float) -> SimulatedCredential:
        """Return a credential whose tokens this simulator accepts as those of a principal."""
        return SimulatedCredential(self.ca_file, principal, **options)

    def secrets_client(
        self,
        principal: str = OWNER,
        *,
        wire: bool = True,
        **options: Any,
    ) -> "SecretClient":
        """Return an SDK client, by default without retries. It is closed when the server stops.

        Without ``wire`` it makes a call in this process where others use the connection.
        """
        if not wire:
            options["transport"] = self.transport()
        client = secrets_client(self.vault_url, self.ca_file, principal, **options)
        self._clients.append(client)
        return client

    def transport(self) -> InProcess:
        """Return a transport for a client in this process."""
        return InProcess(self.ask, self.pass_by)

    def stop(self) -> None:
        """End every connection and thread.

        Raises:
            ExceptionGroup: what went wrong inside the simulator while it ran.
        """
        for client in self._clients:
            client.close()
        super().stop()

    def shift_clock(self, *, seconds: float) -> None:
        """Move the simulated time; shifts add up. Tokens keep to the real time."""
        self._shift += timedelta(seconds=seconds)
        self.pass_by(max(seconds, 0))

    def elapsed(self) -> float:
        """Return the time that deletions and recoveries take theirs from; it never goes back."""
        return self._monotonic() + self._passed

    def pass_by(self, seconds: float) -> None:
        """Let time pass for them alone."""
        with self._lock:
            self._passed += seconds

    def freeze_listing(self) -> None:
        """Freeze the answers of GetSecrets as they are now. Other operations stay live."""
        with self._lock:
            self.secrets.reading.frozen_listing = self.secrets.view()

    def unfreeze_listing(self) -> None:
        """Let GetSecrets answer live again."""
        with self._lock:
            self.secrets.reading.frozen_listing = None

    def freeze_reads(self) -> None:
        """Freeze the answers of GetSecret and GetSecretVersions as they are now."""
        with self._lock:
            self.secrets.reading.frozen_reads = self.secrets.view()

    def unfreeze_reads(self) -> None:
        """Let GetSecret and GetSecretVersions answer live again."""
        with self._lock:
            self.secrets.reading.frozen_reads = None

    def protect(self, container: str, protection: str) -> None:
        """Add a protection to what a container says of itself: see ``BlobStorage.protections``."""
        self.blobs.protections.setdefault(container, set()).add(protection)

    def configure(self, **settings: bool | float) -> None:
        """Change what may differ from vault to vault: see ``Settings``."""
        for name, value in settings.items():
            if not hasattr(self.secrets.settings, name):
                raise ValueError(name)
            setattr(self.secrets.settings, name, value)

    def seed(
        self,
        count: int,
        *,
        tags: Mapping[str, str] | None = None,
        prefix: str = "key-",
        age: float = 0,
        enabled: bool = True,
    ) -> None:
        """Make secrets ``<prefix>00000``, …, ``age`` seconds old, without an HTTP call for each."""
        made = self.secrets.now() - timedelta(seconds=age)
        with self._lock:
            for number in range(count):
                self.secrets.add_version(
                    f"{prefix}{number:05}",
                    secrets.token_urlsafe(32),
                    tags=dict(tags or {}),
                    created=made,
                    updated=made,
                    enabled=enabled,
                )

    def controls(self) -> dict[str, Callable[..., object]]:
        """Return what can be called over HTTP."""
        return super().controls() | {
            "shift_clock": self.shift_clock,
            "pass_by": self.pass_by,
            "freeze_listing": self.freeze_listing,
            "unfreeze_listing": self.unfreeze_listing,
            "freeze_reads": self.freeze_reads,
            "unfreeze_reads": self.unfreeze_reads,
            "configure": self.configure,
            "protect": self.protect,
            "seed": self.seed,
            "assign": self.roles.assign,
            "revoke": self.roles.revoke,
        }


def secrets_client(
    vault_url: str,
    ca_file: str,
    principal: str = OWNER,
    **options: Any,
) -> "SecretClient":
    """Return an SDK client of a simulator in any process, by default without retries."""
    from azure.keyvault.secrets import SecretClient

    given: dict[str, Any] = {
        "retry_total": 0,
        "connection_verify": ca_file,
        "verify_challenge_resource": False,
    }
    given |= options
    credential = given.pop("credential", None) or SimulatedCredential(ca_file, principal)
    return SecretClient(vault_url, credential, **given)


def main() -> None:
    """Run the simulator until SIGTERM or SIGINT."""
    parser = options("Simulated Azure on loopback; --port is the vault's")
    parser.add_argument("--blob-port", type=int, default=0, help="default: a free one")
    parser.add_argument("--retry-after", type=int, help="seconds that a throttled answer names")
    given = parser.parse_args()
    serve(AzureSimulator(port=given.port, blob_port=given.blob_port), given)


if __name__ == "__main__":
    main()
