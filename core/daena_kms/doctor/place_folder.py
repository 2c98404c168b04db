"""The audit log in a folder of this machine."""

from collections.abc import Iterator

from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status


class FolderPlace(Place):
    """One folder. It can't protect what is in it."""

    needs = Needs("write access to the folder", "read access to the folder")

    def protection(self) -> Iterator[Check]:
        """Say so."""
        found = "a folder: anybody who may write to it can delete from it"
        todo = (
            "Keep the log of what matters in a bucket with a lock, and a closing record elsewhere"
        )
        yield Check("audit log: deletion protection", Status.WARNING, found, todo)
