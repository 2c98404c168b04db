"""Check one manifest, or a whole chain, and name the first one that is wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from daena_kms.audit.records import digest
from daena_kms.audit.verify import Problem
from daena_kms.errors import ConfigError, ManifestInvalid
from daena_kms.kms.manifests.chain import Chain
from daena_kms.kms.manifests.format import Manifest, decode, encode, hash_fits, parse
from daena_kms.kms.manifests.signing import checks, normalized, old_signature
from daena_kms.objects.base import ascii_name

#: The kind of the manifest that signs for those of the older system.
IMPORT = "import"
#: Names that nothing of ours has are noted up to here.
_MOST_STRANGE = 100
#: One public key, or several where writers have keys of their own or a key was replaced.
type PublicKeys = str | Iterable[str]


@dataclass(slots=True)
class ChainReport:
    """The outcome of a verification; it counts as true when nothing is wrong."""

    #: What is wrong, the first wrong manifest first.
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    manifests: int = 0
    #: The last manifest as ``name@sha256:…``: kept elsewhere, it shows later if the end was cut.
    newest: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __bool__(self) -> bool:
        return self.ok

    def raise_if_wrong(self) -> None:
        """Raise :class:`ManifestInvalid` that names the first manifest that is wrong."""
        if self.problems:
            first = self.problems[0]
            more = len(self.problems) - 1
            msg = f"{first.name} {first.what}" + (f"; {more} more are wrong" if more else "")
            raise ManifestInvalid(msg, todo="Compare with a copy kept elsewhere")


def verify_manifest(
    manifest: Manifest | Mapping[str, Any],
    *,
    public_key: PublicKeys | None = None,
    hmac_key: str | bytes | None = None,
) -> bool:
    """Return ``True`` for a manifest that is as it was signed, by a trusted key.

    Args:
        manifest: A manifest, or the fields of one.
        public_key: That of the signing key, as ``ed25519:…`` or PEM; several are possible.
        hmac_key: Takes its place for a manifest of the older system.

    Raises:
        ConfigError: The key that it must be checked with is not given.
        ManifestInvalid: It is wrong; the text says how.
    """
    parsed = manifest if isinstance(manifest, Manifest) else parse(manifest)
    if parsed.old and hmac_key is None:
        msg = "the manifest is from the older system, so checking it needs the HMAC key"
        raise ConfigError(msg, todo="Pass hmac_key")
    if not parsed.old and public_key is None:
        todo = "Pass public_key, from a place that the writers of manifests can't change"
        raise ConfigError("checking the manifest needs the public key", todo=todo)
    wrong = _wrong(parsed, _trusted(public_key), hmac_key)
    if wrong is not None:
        msg = f"the manifest {parsed.manifest_id[:80]!r} {wrong}"
        raise ManifestInvalid(msg, todo="Compare with a copy kept elsewhere")
    return True


def verify_chain(
    chain: Chain,
    *,
    public_key: PublicKeys,
    hmac_key: str | bytes | None = None,
    since: str | None = None,
) -> ChainReport:
    """Check every manifest of a chain: its form, number, hash, signature and predecessor.

    Args:
        chain: The chain.
        public_key: The trusted keys, as ``ed25519:…`` or PEM.
        hmac_key: Checks manifests of the older system. Without it they are checked only as far as
            the manifest of their import, with a trusted signature, covers them.
        since: A manifest as an earlier report's ``newest`` gave it, which must still be there.
            Without it nothing shows that the chain's end was cut off, unless an audit log names
            the manifests (:func:`daena_kms.kms.manifests.logged.compare_with_log`).

    Raises:
        ConfigError: ``since`` or a key is malformed.
    """
    report = ChainReport()
    walk = _Walk(chain, report, _trusted(public_key), hmac_key)
    refs: set[str] = set()
    for name, data in chain.objects():
        refs.add(walk.take(name, data))
    report.notes += [_not_one(name) for name in islice(chain.strange(), _MOST_STRANGE)]
    walk.finish()
    if since is not None:
        _check_anchor(chain, since, refs, report)
    report.problems.sort(key=lambda problem: problem.name)  # stable
    return report


def _check_anchor(chain: Chain, since: str, refs: set[str], report: ChainReport) -> None:
    name, at, hashed = since.partition("@")
    if not at or chain.number(name) is None or not hashed.startswith("sha256:"):
        msg = f"{since[:80]!r} is not a manifest of this chain"
        raise ConfigError(msg, todo="Give name@sha256:… as an earlier verification returned it")
    if since not in refs:
        there = any(ref.partition("@")[0] == name for ref in refs)
        what = (
            "was changed since it was kept" if there else "is missing, but was kept as the newest"
        )
        report.problems.append(Problem(name, what))


def _not_one(name: str) -> str:
    return f"{ascii_name(name)} is not the name of a manifest, and was skipped"


class _Walk:
    """Goes along a chain, in the order of the names, and reports what is wrong."""

    def __init__(
        self, chain: Chain, report: ChainReport, trusted: set[str], hmac_key: str | bytes | None
    ) -> None:
        self._chain = chain
        self._report = report
        self._trusted = trusted
        self._hmac_key = hmac_key
        self._next = 1
        #: The manifest before; ``None`` at the beginning, or where it is unknown.
        self._before: Manifest | None = None
        #: Whether a break right before this manifest has been reported.
        self._broken = False
        self._ours = False
        #: The first manifest of the older system that no trusted signature covers yet.
        self._uncovered: str | None = None
        #: The metadata of an import that signs for all of them. No other manifest of ours does:
        #: anybody who may add to an empty chain may have begun it.
        self._imported: dict[str, Any] = {}

    def take(self, name: str, data: bytes) -> str:
        """Check the next object, and return its reference, ``name@sha256:…``."""
        ref = f"{name}@{digest(data)}"
        number = self._chain.number(name)
        if not number:
            self._report.notes.append(_not_one(name))
            return ref
        while self._next < number:
            self._say(self._next, "is missing")
            self._next = max(self._next + 1, number if number - self._next > 100 else 0)  # noqa: PLR2004 - enough to name
            self._broken = True
        self._next = number + 1
        self._report.manifests += 1
        self._report.newest = ref
        try:
            manifest = decode(data)
        except ManifestInvalid:
            self._say(number, "is not a manifest")
            self._broken = True
            return ref
        wrong = self._look(number, manifest, data)
        if wrong is not None:
            self._say(number, wrong)
        self._broken = wrong is not None
        self._before = manifest
        return ref

    def finish(self) -> None:
        """Report what only the end of the chain shows."""
        if self._uncovered is not None:
            what = "is from the older system, and nothing proves its signature"
            todo = ": pass hmac_key, or import it, which signs for it"
            self._report.problems.append(Problem(self._uncovered, what + todo))

    def _look(self, number: int, manifest: Manifest, data: bytes) -> str | None:
        if manifest.seq not in {None, number}:
            return f"is manifest number {manifest.seq}: it was moved, or renumbered"
        if encode(manifest) != data:
            return "is not in the form in which manifests are written"
        wrong = _wrong(manifest, self._trusted, self._hmac_key)
        if wrong is not None:
            return wrong
        if not self._broken and not self._follows(manifest):
            before = self._chain.name(number - 1)
            return (
                f"does not follow {before}"
                if number > 1
                else "names a manifest before it: the beginning of the chain was cut off"
            )
        if manifest.old and self._ours:
            return "is from the older system, but follows a manifest that is not"
        self._ours = self._ours or not manifest.old
        if manifest.old:
            self._imported = {"imported": number, "last": manifest.manifest_hash}
            if self._hmac_key is None and self._uncovered is None:
                self._uncovered = self._chain.name(number)
        elif manifest.kind == IMPORT and manifest.metadata == self._imported:
            self._uncovered = None
        return None

    def _follows(self, manifest: Manifest) -> bool:
        expected = self._before.manifest_hash if self._before is not None else None
        return manifest.prev_manifest_hash == expected

    def _say(self, number: int, what: str) -> None:
        self._report.problems.append(Problem(self._chain.name(number), what))


def _trusted(public_key: PublicKeys | None) -> set[str]:
    keys = [public_key] if isinstance(public_key, str) else list(public_key or ())
    return {normalized(key) for key in keys}


def _wrong(manifest: Manifest, trusted: set[str], hmac_key: str | bytes | None) -> str | None:
    """Return what is wrong with a manifest by itself, or ``None``."""
    if not hash_fits(manifest):
        return "was changed: its hash does not match its content"
    if manifest.old:
        if hmac_key is None:
            return None
        right = old_signature(hmac_key, manifest.manifest_hash)
        return None if _same(manifest.signature, right) else "has a wrong signature"
    if manifest.signed_by not in trusted:
        return "is signed by a key that is not trusted"
    if not checks(str(manifest.signed_by), manifest.manifest_hash, manifest.signature):
        return "has a wrong signature"
    return None


def _same(first: str, second: str) -> bool:
    import hmac

    return hmac.compare_digest(first.encode(errors="surrogatepass"), second.encode())
