"""What lies in the place for seals: the seals themselves, and the tree up to one of them."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Objects
from daena_kms.seal.form import MAX_SEAL, ROOT, Leaf, NotASeal, Seal, seal_name
from daena_kms.seal.notes import MAX_NOTE
from daena_kms.seal.tiles import ENTRIES, Growth, TileReader, tile_name, unbundled
from daena_kms.seal.tree import WIDTH, Edge, leaf_hash

#: A page of a listing, in every cloud, has at least as many names.
_PAGE = 1000
#: So many seals are kept.
_KEPT = 300
#: In bytes. A bundle has 256 leaves of at most some 170 bytes.
MAX_TILE = 100_000


def checkpoint_name(size: int) -> str:
    """Return the name of the checkpoint at that size."""
    return f"checkpoint/{size:020}"


class Seals:
    """The seals in a place, each read once."""

    def __init__(self, place: Objects) -> None:
        self.place = place
        self._read: OrderedDict[int, Seal] = OrderedDict()

    def newest(self) -> Seal | None:
        """Return the seal with the highest number, found in a few pages of the listing.

        Raises:
            AuditUnavailable: The place can't be read, or holds something else as a seal.
        """
        numbers, ahead = self._after(-1), _PAGE
        while len(numbers) == _PAGE:
            low = numbers[-1]
            further = self._after(low + ahead)
            if further:
                numbers, ahead = further, 2 * ahead
            elif ahead > _PAGE:
                ahead //= 2
            else:
                numbers = self._after(low) or [low]
                break
        return self.get(numbers[-1]) if numbers else None

    def _after(self, number: int) -> list[int]:
        """Return the numbers of the seals after one, as many as a page has."""
        after = seal_name(number) if number >= 0 else ""
        names = (entry.name for entry in self.place.scan(ROOT, after))
        found = (number for number in map(_number, names) if number is not None)
        return list(islice(found, _PAGE))

    def get(self, number: int) -> Seal:
        """Return a seal.

        Raises:
            AuditUnavailable: It is missing, or not a seal.
        """
        seal = self._read.get(number)
        if seal is None:
            seal = self._read[number] = self._decoded(number)
            if len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return seal

    def _decoded(self, number: int) -> Seal:
        name = seal_name(number)
        data = self.place.get_up_to(name, MAX_SEAL + 1)
        wrong = "is missing"
        if data is not None:
            try:
                return Seal.decode(data, number)
            except NotASeal as error:
                wrong = str(error)
        msg = f"{name} in {self.place.url} {wrong}"
        raise AuditUnavailable(msg, todo="Run audit verify, and find out who writes there")

    def backwards(self, last: int) -> Iterator[Seal]:
        """Yield the seals from that number down to the first."""
        return (self.get(number) for number in range(last, -1, -1))

    def growth(self, seal: Seal | None) -> Growth:
        """Return the tree with that seal, out of its tiles, or out of all seals up to it.

        Raises:
            AuditUnavailable: The seals do not lead to that root.
        """
        if seal is None:
            return Growth(Edge())
        return self._from_tiles(seal) or self._from_seals(seal)

    def _from_tiles(self, seal: Seal) -> Growth | None:
        def tile(name: str) -> bytes | None:
            return self.place.get_up_to(name, MAX_TILE)

        try:
            edge = TileReader(tile, seal.size).edge()
        except LookupError:
            return None
        width = seal.size % WIDTH
        bundle = tile(tile_name(ENTRIES, seal.size // WIDTH, width)) if width else b""
        leaves = None if bundle is None else unbundled(bundle)
        row = edge.levels[0] if edge.levels else []
        if leaves is None or edge.root() != seal.root or [leaf_hash(x) for x in leaves] != row:
            return None
        return Growth(edge, leaves)

    def _from_seals(self, seal: Seal) -> Growth:
        growth = Growth(Edge())
        for number in range(seal.number + 1):
            for _ in added(growth, self.get(number)):
                pass
            follows(growth, self.get(number), self.place.url)
        return growth

    def leaves(self) -> Iterator[Leaf]:
        """Yield every sealed leaf, in order."""
        newest = self.newest()
        for number in range(0 if newest is None else newest.number + 1):
            yield from self.get(number).leaves


def added(growth: Growth, seal: Seal) -> Iterator[tuple[str, bytes]]:
    """Add a seal's leaves to a tree, and yield the tiles and bundles that are full by them."""
    for leaf in seal.leaves:
        yield from growth.add(leaf.text, leaf_hash(leaf.text))


def follows(growth: Growth, seal: Seal, url: str) -> None:
    """Check that a tree is the one that a seal says. Raises :class:`AuditUnavailable`."""
    if (growth.edge.size, growth.edge.root()) != (seal.size, seal.root):
        msg = f"{seal.name} in {url} does not follow from the seals before it"
        raise AuditUnavailable(msg, todo="Run audit verify, and find out who writes there")


def _number(name: str) -> int | None:
    digits = name.removeprefix(ROOT).removesuffix(".json")
    number = int(digits) if digits.isascii() and digits.isdigit() else None
    return number if number is not None and seal_name(number) == name else None


__all__ = ["MAX_NOTE", "MAX_TILE", "Seals", "added", "checkpoint_name", "follows"]
