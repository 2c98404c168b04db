"""The sealed log: a Merkle tree over the audit log's objects, signed, that an outsider can check.

https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint and https://c2sp.org/tlog-proof.
"""

from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Objects, Use
from daena_kms.settings import Settings

SEALS = Use("the place for seals", AuditUnavailable)
COPIES = Use("the place for copies of checkpoints", AuditUnavailable)


def open_seals(settings: Settings | None = None) -> Objects | None:
    """Return the place for seals; ``None`` if ``DAENA_KMS_SEAL_URL`` is not set.

    Raises:
        ConfigError: The address is malformed, or is the audit log's.
    """
    from daena_kms.objects.address import Access, open_objects

    settings = settings or Settings.load()
    address = settings.seal_url
    return None if address is None else open_objects(address, SEALS, Access())


def open_copies(settings: Settings | None = None) -> Objects | None:
    """Return where checkpoints are copied to; ``None`` if ``DAENA_KMS_CHECKPOINT_COPY`` is not set.

    Raises:
        ConfigError: The address is malformed, or is the seals' own.
    """
    from daena_kms.objects.address import Access, open_objects

    settings = settings or Settings.load()
    address = settings.checkpoint_copy
    return None if address is None else open_objects(address, COPIES, Access())
