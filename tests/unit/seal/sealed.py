"""A log with its seals, and what a verifier says of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from daena_kms.audit.verify import Report, verify
from daena_kms.objects.base import Objects
from daena_kms.seal.check import SealCheck
from daena_kms.seal.form import Seal
from daena_kms.seal.ledger import Ledger
from daena_kms.seal.notes import Checkpoint, NoteSigner, VerifierKey
from daena_kms.seal.place import Seals
from daena_kms.seal.sealer import Sealer, Sealing
from daena_kms.seal.signers import PemSigner

from tests.unit.logs import Hands, write_run
from tests.worlds.memory import MemoryObjects

ORIGIN = "example.com/log"


def new_signer(name: str = ORIGIN) -> PemSigner:
    """Return a signer with a key of its own."""
    return PemSigner(name, Ed25519PrivateKey.generate())


@dataclass
class SealedLog:
    """A log, the place for its seals, and a clock for both."""

    clock: Hands = field(default_factory=Hands)
    log: MemoryObjects = field(init=False)
    place: MemoryObjects = field(init=False)
    signers: Sequence[NoteSigner] = field(default_factory=lambda: (new_signer(),))

    def __post_init__(self) -> None:
        self.log, self.place = MemoryObjects(self.clock), MemoryObjects(self.clock)

    def runs(self, count: int, *, closing: bool = True) -> list[str]:
        """Write so many runs, ten minutes apart."""
        found = []
        for _ in range(count):
            found.append(write_run(self.log, self.clock, closing=closing))
            self.clock.pass_(minutes=10)
        return found

    def sealer(self, place: Objects | None = None, log: Objects | None = None) -> Sealer:
        """Return a sealer."""
        return Sealer(log or self.log, place or self.place, self.signers, ORIGIN)

    def seal(self, *, everything: bool = True) -> Sealing:
        """Seal what is new."""
        return self.sealer().seal(self.clock(), everything=everything)

    def verify(
        self,
        keys: Sequence[VerifierKey] | None = None,
        since: Checkpoint | None = None,
        place: Objects | None = None,
    ) -> Report:
        """Return the report on the log and its seals."""
        trusted = [signer.key for signer in self.signers] if keys is None else keys
        with Ledger() as ledger:
            return verify(self.log, seals=SealCheck(place or self.place, trusted, ledger, since))

    def wrong(self, since: Checkpoint | None = None) -> dict[str, str]:
        """Return what is wrong, by the object that is named."""
        return {problem.name: problem.what for problem in self.verify(since=since).problems}


def seals_in(sealed: SealedLog) -> list[Seal]:
    """Return the seals."""
    seals = Seals(sealed.place)
    newest = seals.newest()
    return [seals.get(n) for n in range(0 if newest is None else newest.number + 1)]


def checked(sealed: SealedLog) -> None:
    """Assert that nothing is wrong, and that every object of the log is sealed once."""
    report = sealed.verify()
    assert report.problems == []
    names = [leaf.name for seal in seals_in(sealed) for leaf in seal.leaves]
    assert sorted(names) == sorted(sealed.log.stored)
