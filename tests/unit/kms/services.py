"""A key management service over the local store, with its log in memory or in files."""

from datetime import datetime
from pathlib import Path
from typing import Any

from daena_kms.kms import KeyManagementService
from daena_kms.objects.base import Objects

from tests.unit.kms.manifests import one_signer
from tests.unit.local_keys import local
from tests.worlds.memory import MemoryObjects


class Service:
    """The service with what a test looks at beside it."""

    def __init__(self, home: Path, log: Objects | None = None, now: datetime | None = None) -> None:
        self.adapter = local(home / "store")
        self.memory = MemoryObjects()
        self.log = self.memory if log is None else log
        self.now = now
        self.kms = self.open()

    def open(self, **options: Any) -> KeyManagementService:
        """Return another service on the same store and log."""
        given: dict[str, Any] = {
            "adapter": self.adapter,
            "log": self.log,
            "signing_key": one_signer(),
            "operator": "alice",
            "now": self.now,
        }
        return KeyManagementService(**{**given, **options})
