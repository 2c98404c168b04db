"""A store and its audit log in which any one call can be made to fail, and that can be put back."""

import copy
import shutil
import sqlite3
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit.cloud_objects import CloudObjects
from daena_kms.audit.objects import Objects
from daena_kms.audit.verify import Report, verify
from daena_kms.cloud_kms import AWSKMSAdapter, CloudKMSAdapter, LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import DaenaKMSError
from daena_kms.model import VersionState
from daena_kms.operations import Operations
from daena_kms.summary import Summary

from tests.faults.seam import Effect, Seam, SeamedObjects, SeamedStore, bucket
from tests.stores.aws_sim import BUCKET, REGION, AwsSimulator, clients

KINDS = ("local", "aws")
DAY = timedelta(days=1)
#: More calls than any operation makes.
FOR_EVER = 1_000_000
_PROMOTION = ("UpdateSecretVersionStage", "AWSCURRENT")
_READABLE = {VersionState.CURRENT, VersionState.PREVIOUS}


class World(ABC):
    """One store with its log. Time is given in each call, counted from ``began``."""

    adapter: CloudKMSAdapter
    log: Objects

    def __init__(self) -> None:
        self.began = datetime.now(UTC)

    def run(self, after: timedelta = timedelta(), **options: Any) -> Summary:  # noqa: ANN401 - run()'s own
        """Run the engine at this time."""
        return run(self.adapter, self.log, now=self.began + after, **options)

    def operations(self, after: timedelta = timedelta()) -> Operations:
        """Return the audited operations at this time."""
        return Operations(self.adapter, self.log, now=self.began + after)

    def verify(self) -> Report:
        """Verify the log against the store."""
        return verify(self.log, list(self.adapter.store.scan()))

    def current(self, key_id: str) -> str:
        """Return the id of the current version."""
        version = self.adapter.store.describe(key_id).current
        assert version is not None
        return version.id

    def readable(self, key_id: str) -> dict[str, str]:
        """Return the values of the versions that must be readable now, by id."""
        store = self.adapter.store
        ids = [v.id for v in store.describe(key_id).versions if v.state in _READABLE]
        return {version_id: store.read(key_id, version_id) for version_id in ids}

    @abstractmethod
    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Make a key as somebody else would."""

    @abstractmethod
    def promotions(self) -> int:
        """Return how many versions became current; only a difference of two has meaning."""

    @abstractmethod
    def state(self) -> object:
        """Return all that the store holds, in the store's own form, for comparison."""

    @abstractmethod
    def calls(self) -> int:
        """Return how many calls were made since the last :meth:`arm`."""

    @abstractmethod
    def mend(self) -> None:
        """End every fault."""

    @abstractmethod
    def arm(self, at: int, effect: Effect) -> None:
        """Let call number ``at`` from now on have this effect."""

    @abstractmethod
    def save(self) -> None:
        """Remember the state of the store and the log."""

    @abstractmethod
    def load(self) -> None:
        """Put it back."""


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


class AwsWorld(World):
    """The strict simulator; no client repeats a call, so that each fault reaches its caller."""

    def __init__(self, sim: AwsSimulator, **options: Any) -> None:  # noqa: ANN401 - of clients()
        super().__init__()
        self.sim = sim
        self.secrets, self.kms = clients(sim.url, **options)
        self.kms_key = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.adapter = AWSKMSAdapter(
            REGION, self.kms_key, secrets_client=self.secrets, kms_client=self.kms
        )
        self.log = CloudObjects(bucket(sim.url), f"s3://{BUCKET}")
        self._saved: tuple[Any, Any] = ({}, {})

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Create a secret without the SDK, which would log the value as it should."""
        pairs = [{"Key": name, "Value": text} for name, text in (tags or {}).items()]
        token = str(uuid.uuid4())
        given = {"Name": key_id, "SecretString": material, "Tags": pairs}
        self.sim.secrets.run("CreateSecret", {**given, "ClientRequestToken": token})

    def promotions(self) -> int:
        """Count the new secrets and the moves of AWSCURRENT that took effect."""
        return sum(
            call.outcome in {"ok", "failed after"}
            for call in self.sim.calls
            if call.operation == "CreateSecret"
            or (call.operation, call.params.get("VersionStage")) == _PROMOTION
        )

    def state(self) -> object:
        """Return every secret with everything in it."""
        return copy.deepcopy(self.sim.secrets.store.secrets)

    def calls(self) -> int:
        """Return how many calls came in."""
        return len(self.sim.calls)

    def mend(self) -> None:
        """Let every call pass."""
        self.sim.faults.clear()

    def arm(self, at: int, effect: Effect) -> None:
        """Plan the faults; a process that was killed is one of which no further call arrives."""
        self.mend()
        self.sim.calls.clear()
        faults = self.sim.faults
        match effect:
            case Effect.BEFORE:
                faults.fail_before(at)
            case Effect.AFTER:
                faults.fail_after(at)
            case Effect.KILLED_BEFORE:
                faults.fail_before(at, times=FOR_EVER)
            case Effect.KILLED_AFTER:
                faults.fail_after(at)
                faults.fail_before(at + 1, times=FOR_EVER)

    def save(self) -> None:
        """Copy the secrets and the objects."""
        self._saved = self.state(), dict(self.sim.s3.buckets[BUCKET])

    def load(self) -> None:
        """Put them back."""
        self.mend()
        secrets, objects = self._saved
        self.sim.secrets.store.secrets.clear()
        self.sim.secrets.store.secrets.update(copy.deepcopy(secrets))
        self.sim.s3.buckets[BUCKET].clear()
        self.sim.s3.buckets[BUCKET].update(objects)


@contextmanager
def open_world(kind: str, folder: Path, **options: Any) -> Iterator[World]:  # noqa: ANN401 - of clients()
    """Give an empty world of that kind."""
    if kind == "local":
        yield LocalWorld(folder)
        return
    with AwsSimulator() as sim:
        yield AwsWorld(sim, **options)


@contextmanager
def refused(world: World, kind: type[DaenaKMSError], words: str) -> Iterator[None]:
    """Expect an error of exactly this use, and that the store stays as it is."""
    before = world.state()
    with pytest.raises(kind, match=words) as caught:
        yield
    assert caught.value.todo, "it must say what to do"
    assert world.state() == before
