"""The benchmarks' Google Cloud."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.stores.gcp.state import (
    CURRENT,
    LABEL,
    PREVIOUS,
    VERSIONS,
    Record,
    write_records,
)
from google.oauth2.credentials import Credentials

from infra.local.faults import Call
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.names import PROJECT_NUMBER
from infra.local.gcp.sim import PROJECT, GcpSimulator, connect
from infra.local.gcp.state import Secret
from infra.local.simulator import SimulatorProcess
from tests.bench.cloud import Cloud, Quota, Remote
from tests.bench.surroundings import surrounded
from tests.worlds.gcp import GcpWorld

#: A key that has lived for a while has a current and two previous versions.
_AGES = tuple(timedelta(days=days) for days in (30, 20, 10))


class Gcp(Cloud):
    """Secret Manager, over gRPC, and Cloud Storage."""

    name, provider = "GCP", "gcp"
    listing, page = "ListSecrets", 250
    writes = ("UpdateSecret", "AddSecretVersion", "UpdateSecret")
    #: https://cloud.google.com/secret-manager/quotas: 600 in a minute
    quota: ClassVar[Quota] = Quota(10, (70, 40), {"GCP_WRITES_PER_MINUTE": "600"})
    on_demand, per_rotation = 4, 3

    def fill(self, world: GcpWorld, count: int) -> None:
        """Write labels, tags or annotations as the store does."""
        _fill(world.sim, count)

    @contextmanager
    def remote(self) -> Iterator[Remote]:
        """Give a simulator whose controls are at the address of its storage."""
        with SimulatorProcess("gcp") as found, surrounded(found.environment):

            def adapter(given: Mapping[str, str]) -> GCPSecretManagerAdapter:
                os.environ.update(given)
                return GCPSecretManagerAdapter(credentials=_credentials())

            with connect(found.addresses["target"]) as client:
                secrets = f"projects/{PROJECT}/secrets"
                yield Remote(
                    found.url,
                    adapter,
                    lambda name: client.get_secret(request={"name": f"{secrets}/{name}"}),
                )

    def is_record(self, call: Call) -> bool:
        """Whether a call inserted an object."""
        return call.operation == "InsertObject"


def _credentials() -> Credentials:
    return Credentials(ROTATOR)  # type: ignore[no-untyped-call] # as it is declared


def _fill(sim: GcpSimulator, count: int) -> None:
    """Put keys into the simulator behind its wire, with annotations as the store writes them."""
    now = datetime.now(UTC)
    made = [now - age for age in _AGES]
    records = {
        str(number): Record(
            at=at,
            base=str(number - 1) if number > 1 else None,
            until=made[number] if number < len(made) else None,
        )
        for number, at in enumerate(made, 1)
    }
    annotations = {
        "daena.managed": "true",
        "daena.spec": "aes-256",
        "team": "bench",
        "stage": "test",
        VERSIONS: write_records(records),
    }
    for number in range(count):
        name = f"projects/{PROJECT_NUMBER}/secrets/key-{number}"
        sim.secrets.by_name[name] = Secret(
            name,
            sequence=sim.secrets.next_sequence(),
            create_time=made[0],
            labels={LABEL: "true"},
            annotations=dict(annotations),
            version_aliases={CURRENT: len(made), PREVIOUS: len(made) - 1},
        )
