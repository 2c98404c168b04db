"""The names and contents of tiles and bundles, and hashes out of them.

https://c2sp.org/tlog-tiles
"""

import struct
from collections.abc import Callable, Iterable, Iterator

from daena_kms.seal.tree import HASH, WIDTH, Edge, over, subtree_in_tile

ROOT = "tile/"
ENTRIES = "entries"


def tile_name(level: int | str, index: int, width: int = WIDTH) -> str:
    """Return the name of a tile, or of a bundle of entries where the level is ``entries``."""
    digits = f"{index % 1000:03}"
    while index >= 1000:  # noqa: PLR2004 - three digits each, as the specification has it
        index //= 1000
        digits = f"x{index % 1000:03}/{digits}"
    return f"{ROOT}{level}/{digits}" + (f".p/{width}" if width < WIDTH else "")


def bundled(leaves: Iterable[bytes]) -> bytes:
    """Return a bundle of leaves."""
    return b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in leaves)


def unbundled(data: bytes) -> list[bytes] | None:
    """Return the leaves in a bundle; ``None`` if it is none."""
    leaves, at = [], 0
    while at < len(data):
        if at + 2 > len(data):
            return None
        (length,) = struct.unpack_from(">H", data, at)
        leaf = data[at + 2 : at + 2 + length]
        if len(leaf) < length:
            return None
        leaves.append(leaf)
        at += 2 + length
    return leaves


class Growth:
    """The tiles and bundles that a tree gains as leaves are added to it.

    Args:
        edge: The tree before; it grows.
        open_leaves: Its last leaves, which fill no bundle yet.
    """

    def __init__(self, edge: Edge, open_leaves: Iterable[bytes] = ()) -> None:
        self.edge = edge
        self._open = list(open_leaves)

    def add(self, leaf: bytes, hashed: bytes) -> Iterator[tuple[str, bytes]]:
        """Add a leaf, and yield the name and content of what is full by it."""
        self._open.append(leaf)
        if len(self._open) == WIDTH:
            yield tile_name(ENTRIES, self.edge.size // WIDTH), bundled(self._open)
            self._open.clear()
        for level, index, content in self.edge.append(hashed):
            yield tile_name(level, index), content

    def partial(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and content of what is not full at this size."""
        if self._open:
            name = tile_name(ENTRIES, self.edge.size // WIDTH, len(self._open))
            yield name, bundled(self._open)
        for level, index, content in self.edge.partial():
            yield tile_name(level, index, len(content) // HASH), content


class TileReader:
    """Hashes of a tree, out of its tiles.

    Args:
        get: Returns an object's content by its name, or ``None``.
        size: The size of the tree.
    """

    def __init__(self, get: Callable[[str], bytes | None], size: int) -> None:
        self._get = get
        self._size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, index: int) -> bytes:
        """Return a tile. Raises :class:`LookupError` if it is missing or has another length."""
        found = self._tiles.get((level, index))
        if found is None:
            width = min(WIDTH, (self._size >> 8 * level) - index * WIDTH)
            name = tile_name(level, index, width)
            data = self._get(name)
            if data is None and width < WIDTH:  # a full one may stand for it
                data = (self._get(tile_name(level, index)) or b"")[: width * HASH]
            if data is None or len(data) != width * HASH:
                raise LookupError(name)
            found = self._tiles[level, index] = data
        return found

    def subtree(self, first: int, last: int) -> bytes:
        """Return the hash over a whole subtree's leaves."""
        level, index, start, count = subtree_in_tile(first, last)
        data = self.tile(level, index)[start * HASH : (start + count) * HASH]
        return over([data[i : i + HASH] for i in range(0, len(data), HASH)])

    def edge(self) -> Edge:
        """Return the tree's right edge."""
        rows: list[list[bytes]] = []
        rest, level = self._size, 0
        while rest:
            width = rest % WIDTH
            data = self.tile(level, rest // WIDTH) if width else b""
            rows.append([data[i : i + HASH] for i in range(0, len(data), HASH)])
            rest, level = rest // WIDTH, level + 1
        return Edge(rows, self._size)
