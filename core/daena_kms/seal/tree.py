"""The Merkle tree over a log's leaves: RFC 6962, section 2.1, in tiles of 256 hashes.

https://www.rfc-editor.org/rfc/rfc6962#section-2.1 and https://c2sp.org/tlog-tiles.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

HASH = 32
WIDTH = 256
_BITS = 8
EMPTY = hashlib.sha256().digest()

#: Returns the hash of the leaves from the first to before the last, which are a whole subtree:
#: their number is a power of two, and the first is a multiple of it.
type Subtree = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two others."""
    return hashlib.sha256(b"\1" + left + right).digest()


def _halves(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over a power of two of hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(*level[i : i + 2]) for i in range(0, len(level), 2)]
    return level[0]


def _whole(hashes: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the hashes of the whole subtrees over hashes, from the largest on."""
    first = 0
    for bit in reversed(range(len(hashes).bit_length())):
        if len(hashes) & 1 << bit:
            yield _halves(hashes[first : first + (1 << bit)])
            first += 1 << bit


def _folded(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over subtrees of which each is larger than the next."""
    *others, found = hashes
    for left in reversed(others):
        found = node_hash(left, found)
    return found


@dataclass(slots=True)
class Edge:
    """The right edge of a tree: for each level the hashes that fill no tile yet.

    That is all that a tree needs to grow, and what its partial tiles hold.
    """

    levels: list[list[bytes]] = field(default_factory=list)
    size: int = 0

    def append(self, hashed: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf's hash, and yield each tile that is full by it: level, index and content."""
        self.size += 1
        for level in range(len(self.levels) + 1):
            if level == len(self.levels):
                self.levels.append([])
            row = self.levels[level]
            row.append(hashed)
            if len(row) < WIDTH:
                return
            yield level, (self.size >> _BITS * (level + 1)) - 1, b"".join(row)
            hashed = _halves(row)
            row.clear()

    def partial(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the tiles that are not full: level, index and content."""
        for level, row in enumerate(self.levels):
            if row:
                yield level, self.size >> _BITS * (level + 1), b"".join(row)

    def root(self) -> bytes:
        """Return the hash of the tree."""
        if not self.size:
            return EMPTY
        return _folded([h for row in reversed(self.levels) for h in _whole(row)])


def widths(size: int) -> list[int]:
    """Return how many hashes the partial tile of each level has, in a tree of that size."""
    found = []
    while size:
        found.append(size % WIDTH)
        size //= WIDTH
    return found


def subtree_in_tile(first: int, last: int) -> tuple[int, int, int, int]:
    """Return where the hash of a whole subtree is found.

    Returns:
        The tile's level and index, the first of its hashes, and their number: the subtree is over
        them.
    """
    height = (last - first).bit_length() - 1
    level = height // _BITS
    start = first >> _BITS * level
    return level, start // WIDTH, start % WIDTH, 1 << (height - level * _BITS)


def hash_of(first: int, last: int, subtree: Subtree) -> bytes:
    """Return the hash over the leaves from the first to before the last; the first is aligned."""
    if last == first:
        return EMPTY
    parts: list[bytes] = []
    for bit in reversed(range((last - first).bit_length())):
        if (last - first) & 1 << bit:
            begin = first + ((last - first) >> (bit + 1) << (bit + 1))
            parts.append(subtree(begin, begin + (1 << bit)))
    return _folded(parts)


def over(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over hashes, of which there is a power of two."""
    return _halves(hashes)


def _split(count: int) -> int:
    """Return the largest power of two below a count."""
    return 1 << ((count - 1).bit_length() - 1)


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the proof that a leaf is in the tree, from its sibling to the root's child.

    https://www.rfc-editor.org/rfc/rfc6962#section-2.1.1
    """
    first, last, path = 0, size, list[bytes]()
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append(hash_of(middle, last, subtree))
            last = middle
        else:
            path.append(hash_of(first, middle, subtree))
            first = middle
    return path[::-1]


def root_by(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a proof of inclusion leads to; ``None`` if it has the wrong length.

    https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2
    """
    if not 0 <= index < size:
        return None
    node, last, found = index, size - 1, leaf
    for hashed in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            found = node_hash(hashed, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, hashed)
        node, last = node >> 1, last >> 1
    return found if last == 0 else None


def consistency(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the proof that a tree has grown from a smaller one, which is not empty.

    https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2
    """
    first, last, known, path = 0, size, True, list[bytes]()
    while old != last:
        middle = first + _split(last - first)
        if old <= middle:
            path.append(hash_of(middle, last, subtree))
            last = middle
        else:
            path.append(hash_of(first, middle, subtree))
            first, known = middle, False
    if not known:
        path.append(hash_of(first, last, subtree))
    return path[::-1]


def grows(old: int, size: int, roots: tuple[bytes, bytes], path: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree with the first root grew into that with the second.

    https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.2
    """
    if old == size:
        return not path and roots[0] == roots[1]
    if not 0 < old < size or not path:
        return False
    proof = [roots[0], *path] if old & (old - 1) == 0 else list(path)
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = proof[0]
    for hashed in proof[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = node_hash(hashed, before), node_hash(hashed, after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, hashed)
        node, last = node >> 1, last >> 1
    return last == 0 and (before, after) == roots
