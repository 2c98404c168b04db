"""The worlds: the local store, and each cloud simulated; :func:`open_world` gives one of a kind."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from daena_kms.cloud_kms import LocalAdapter

from infra.local.aws.sim import AwsSimulator
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.sim import GcpSimulator
from tests.faults.seam import Effect, Seam, SeamedObjects, SeamedStore
from tests.faults.worlds_aws import AwsWorld
from tests.faults.worlds_azure import AzureWorld
from tests.faults.worlds_base import CLAIMED, DAY, FOR_EVER, World, refused
from tests.faults.worlds_gcp import GcpWorld

__all__ = [
    "CLAIMED",
    "DAY",
    "FOR_EVER",
    "KINDS",
    "AwsWorld",
    "AzureWorld",
    "GcpWorld",
    "LocalWorld",
    "World",
    "open_world",
    "refused",
]

KINDS = ("local", "aws", "azure", "gcp")
_READING = {"scan", "describe", "read", "get", "entries", "children"}


class LocalWorld(World):
    """The local store and a log in files, with a seam in front of both."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._live, self._saved = folder / "live", folder / "saved"
        self.seam = Seam()
        self._open()

    def _open(self) -> None:
        self.store = SeamedStore(self._live / "store", self.seam)
        self.adapter = LocalAdapter(self._live / "store")
        self.adapter.store = self.store
        self.log = SeamedObjects(self._live / "audit", self.seam)

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Write a key that carries other tags."""
        self.store.create(key_id, material, tags or {}, self.began)

    def promotions(self) -> int:
        """Count the versions: each was promoted as it was written."""
        return len(self._rows("SELECT id FROM versions"))

    def state(self) -> object:
        """Return every row of every table."""
        return [self._rows(f"SELECT * FROM {t} ORDER BY 1, 2") for t in ("keys", "versions")]  # noqa: S608 - two names

    def _rows(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self._live / "store" / "keys.db")) as connection:
            return connection.execute(statement).fetchall()

    def calls(self) -> int:
        """Return how many calls went through the seam."""
        return len(self.seam.calls)

    def writes(self) -> list[int]:
        """Return the numbers of the calls that are no reading ones."""
        return [n for n, name in enumerate(self.seam.calls, 1) if name not in _READING]

    def mend(self) -> None:
        """Let every call pass."""
        self.seam.disarm()

    def arm(self, at: int, effect: Effect) -> None:
        """Arm the seam."""
        self.seam.arm(at, effect)

    def save(self) -> None:
        """Copy the folder."""
        self.store.close()
        shutil.copytree(self._live, self._saved)

    def load(self) -> None:
        """Copy it back."""
        self.store.close()
        shutil.rmtree(self._live)
        shutil.copytree(self._saved, self._live)
        self.seam.disarm()
        self._open()


@contextmanager
def open_world(kind: str, folder: Path, **options: Any) -> Iterator[World]:
    """Give an empty world of that kind."""
    match kind:
        case "aws":
            with AwsSimulator() as aws:
                yield AwsWorld(aws, **options)
        case "azure":
            with AzureSimulator() as azure, pytest.MonkeyPatch.context() as patch:
                # For what opens the log or the claims by their address.
                patch.setenv("AZURE_STORAGE_ENDPOINT", azure.blob_url)
                yield AzureWorld(azure, **options)
        case "gcp":
            with GcpSimulator() as gcp, pytest.MonkeyPatch.context() as patch:
                patch.setenv("GCP_STORAGE_ENDPOINT", gcp.url)
                yield GcpWorld(gcp, **options)
        case _:
            yield LocalWorld(folder)
