"""The benchmarks' Azure."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.rules.durations import format_time
from daena_kms.rules.names import new_version_id
from daena_kms.stores.azure.look import OPEN
from daena_kms.stores.azure.order import NAME
from requests import Session
from requests.adapters import HTTPAdapter

from infra.local.azure.sim import AzureSimulator
from infra.local.faults import Call
from infra.local.simulator import SimulatorProcess
from tests.bench.cloud import Cloud, Quota, Remote
from tests.bench.surroundings import surrounded
from tests.worlds.azure import AzureWorld

#: A key that has lived for a while has a current and two previous versions.
_VERSIONS, _AGE = 3, timedelta(days=10)


class Azure(Cloud):
    """Key Vault, over TLS, and Blob Storage."""

    name, provider = "Azure", "azure"
    listing, page, pages_in_turn = "GetSecrets", 25, True
    writes = ("SetSecret",)
    #: https://learn.microsoft.com/azure/key-vault/general/service-limits: 300 in 10 seconds
    quota: ClassVar[Quota] = Quota(30, (600, 300), {})
    on_demand, per_rotation, claims = 2, 2, 1

    def fill(self, world: AzureWorld, count: int) -> None:
        """Write labels, tags or annotations as the store does."""
        _fill(world.sim, count)

    @contextmanager
    def remote(self) -> Iterator[Remote]:
        """Give a simulator whose controls are at the address of its blobs."""
        with SimulatorProcess("azure") as found, surrounded(found.environment):

            def adapter(given: Mapping[str, str]) -> AzureKeyVaultAdapter:
                os.environ.update(given)
                return AzureKeyVaultAdapter()

            with _reader(found.addresses["vault_url"]) as bare:
                yield Remote(found.url, adapter, bare)

    def is_claim(self, call: Call) -> bool:
        """Whether a call put a blob into the claims' container."""
        return call.operation == "PutBlob" and call.params["container"] == "claims"

    def is_record(self, call: Call) -> bool:
        """Whether a call put a blob into the log's container."""
        return call.operation == "PutBlob" and call.params["container"] == "audit"


@contextmanager
def _reader(vault_url: str) -> Iterator[Callable[[str], object]]:
    """Give the SDK alone; with its own pool of ten, more threads would greet anew at each call."""
    session = Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=64))
    transport = RequestsTransport(session=session, session_owner=False)
    with (
        session,
        SecretClient(
            vault_url,
            ManagedIdentityCredential(),
            transport=transport,
            verify_challenge_resource=False,
        ) as client,
    ):
        yield client.get_secret


def _fill(sim: AzureSimulator, count: int) -> None:
    """Put keys into the simulator behind its HTTP, with tags as the store writes them."""
    for number in range(count):
        made, version = datetime.now(UTC) - _VERSIONS * _AGE, None
        tags = {"daena.managed": "true", "daena.spec": "aes-256", "team": "bench", "stage": "test"}
        for _ in range(_VERSIONS):
            own = {NAME: new_version_id(version, made)}
            if version is not None:
                own[OPEN] = tags.get(OPEN, format_time(made))
            tags |= own
            stamp = made.replace(microsecond=0)
            version = sim.secrets.add_version(
                f"key-{number:05}", own[NAME], tags=dict(tags), created=stamp, updated=stamp
            ).id
            made += _AGE
