"""The key management service in the worlds of faults."""

from datetime import timedelta
from pathlib import Path

from daena_kms.kms import KeyManagementService
from daena_kms.kms.manifests import ChainReport

from tests.unit.kms.manifests import one_signer, pem
from tests.worlds.base import FaultWorld


def service(world: FaultWorld, after: timedelta = timedelta()) -> KeyManagementService:
    """Return the service on a world's store and log, at this time."""
    return KeyManagementService(
        adapter=world.adapter,
        log=world.log,
        signing_key=one_signer(),
        operator="alice",
        now=world.at(after),
    )


def chain(world: FaultWorld) -> ChainReport:
    """Verify the manifests against the log, in a way that no fault concerns."""
    return KeyManagementService(log=world.held(), signing_key=one_signer()).verify_chain()


def signing_file(folder: Path) -> Path:
    """Make a signing key in a file, for several processes."""
    path = folder / "signing.pem"
    path.write_text(pem())
    path.chmod(0o600)
    return path
