"""A log or claims in a simulated storage account."""

from typing import Any

from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.base import AUDIT, Objects, Use
from daena_kms.sdk.azure.login import Login

from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator


def opened(
    sim: AzureSimulator,
    place: str = "audit/some/where",
    use: Use = AUDIT,
    credential: Any = None,
) -> Objects:
    """Return the objects at a place in the account."""
    login = Login({}, credential=credential or sim.credential())
    return open_objects(f"az://{ACCOUNT}/{place}", use, Access(login=login))
