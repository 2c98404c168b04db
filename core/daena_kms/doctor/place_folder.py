"""The audit log in a folder of this machine."""

from collections.abc import Iterator

from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status


class FolderPlace(Place):
    """One folder. A folder can't protect its files from whoever may write to it."""

    needs = Needs("write access to the folder", "read access to the folder")

    def protection(self, *, read: bool) -> Iterator[Check]:
        """Yield that nothing protects the log."""
        del read
        found = "a folder: anybody who may write to it can delete from it"
        todo = (
            "Keep an important log in a bucket with a lock, and its newest closing record elsewhere"
        )
        yield Check("audit log: deletion protection", Status.WARNING, found, todo)
