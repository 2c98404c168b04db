"""An audit log in memory, for tests that write many records and break off anywhere."""

from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.audit.records import decode
from daena_kms.objects.base import AlreadyExists, Entry, Objects

_START = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryObjects(Objects):
    """Objects in a dictionary, in the order in which they were put."""

    url = "memory:"

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    def put_new(self, name: str, data: bytes) -> None:
        """Create an object."""
        if name in self.data:
            raise AlreadyExists(name)
        self.data[name] = data

    def get(self, name: str) -> bytes | None:
        """Return an object's bytes."""
        return self.data.get(name)

    def entries(self, prefix: str) -> list[Entry]:
        """List the objects; each is a second younger than the one put before it."""
        found = [
            Entry(name, _START + timedelta(seconds=number))
            for number, name in enumerate(self.data)
            if name.startswith(prefix)
        ]
        return sorted(found, key=lambda entry: entry.name)

    def children(self, prefix: str) -> list[str]:
        """List the folders right below ``prefix``."""
        below = (name.removeprefix(prefix) for name in self.data if name.startswith(prefix))
        return sorted({rest.split("/")[0] for rest in below if "/" in rest})

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the records in the order in which they were put, all or those of one type."""
        decoded = [decode(data, name) for name, data in self.data.items()]
        return [record for record in decoded if kind in {None, record["type"]}]

    def results(self) -> list[dict[str, Any]]:
        """Return what every record says that became of an action, oldest first."""
        return [row for record in self.records() for row in record.get("results", ())]
