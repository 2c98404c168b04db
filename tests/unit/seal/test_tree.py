"""The tree, its tiles and its proofs are those of an implementation that others wrote."""

from itertools import pairwise

import aics_tlog
import pytest
from aics_tlog.tiles import TileWriter
from daena_kms.seal import tree
from daena_kms.seal.tiles import Growth, TileReader, bundled, tile_name, unbundled
from daena_kms.seal.tree import Edge, leaf_hash

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 31, 70, 255, 256, 257, 300, 511, 512, 513, 1000)
LEAVES = [f"leaf {number}\n".encode() for number in range(66_000)]
WHOLE = aics_tlog.MerkleTree(LEAVES[:1000])


def grown(size: int) -> tuple[Edge, dict[str, bytes]]:
    """Return the tree of that size, and every tile and bundle of it."""
    growth, tiles = Growth(Edge()), dict[str, bytes]()
    for leaf in LEAVES[:size]:
        tiles.update(growth.add(leaf, leaf_hash(leaf)))
    return growth.edge, tiles | dict(growth.partial())


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    """RFC 6962: the hash of an empty list is the hash of an empty string."""
    assert Edge().root() == aics_tlog.EMPTY_HASH


@pytest.mark.parametrize("size", SIZES)
def test_root_and_tiles_of_every_size(size: int) -> None:
    """Each tile and bundle is the one that the other implementation makes, and so is the root."""
    edge, tiles = grown(size)

    assert edge.root() == WHOLE.root(size)
    assert tiles == TileWriter(LEAVES[:size]).materialise()
    assert tree.widths(size) == [len(row) for row in edge.levels]


def test_a_tree_with_three_levels_of_tiles() -> None:
    """65,536 leaves fill a tile of the second level."""
    edge, tiles = grown(66_000)

    assert tiles == TileWriter(LEAVES).materialise()
    assert edge.root() == aics_tlog.MerkleTree(LEAVES).root()
    read = TileReader(tiles.get, 66_000)
    assert read.edge() == edge
    path = tree.inclusion(65_900, 66_000, read.subtree)
    assert tree.root_by(65_900, 66_000, leaf_hash(LEAVES[65_900]), path) == edge.root()


@pytest.mark.parametrize("size", SIZES)
def test_proofs_of_inclusion(size: int) -> None:
    """A leaf's proof is the other implementation's and leads to the root; changed it doesn't."""
    edge, tiles = grown(size)
    read = TileReader(tiles.get, size)
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        path = tree.inclusion(index, size, read.subtree)
        hashed = leaf_hash(LEAVES[index])

        assert path == WHOLE.inclusion_proof(index, size)
        assert tree.root_by(index, size, hashed, path) == edge.root()
        assert tree.root_by(index, size, leaf_hash(b"other"), path) != edge.root()
        assert tree.root_by(index, size, hashed, [*path, hashed]) is None
        assert tree.root_by(index, size, hashed, path[:-1]) in {None, *([hashed] * (size == 1))}
        assert tree.root_by(size, size, hashed, path) is None


@pytest.mark.parametrize(("old", "size"), [*pairwise(SIZES), (1, 1000), (255, 1000), (512, 513)])
def test_proofs_of_consistency(old: int, size: int) -> None:
    """A proof shows that the smaller tree grew into the larger one, and no other tree did."""
    edge, tiles = grown(size)
    path = tree.consistency(old, size, TileReader(tiles.get, size).subtree)
    roots = (WHOLE.root(old), edge.root())

    assert path == WHOLE.consistency_proof(old, size)
    assert tree.grows(old, size, roots, path)
    assert not tree.grows(old, size, (leaf_hash(b"other"), roots[1]), path)
    assert not tree.grows(old, size, (roots[0], leaf_hash(b"other")), path)
    assert not tree.grows(old, size, roots, [*path, roots[0]])
    assert not tree.grows(old, size, roots, [])


def test_a_tree_is_consistent_with_itself_alone() -> None:
    """Of one size there is one root, and no proof is needed."""
    roots = (WHOLE.root(9), WHOLE.root(9))
    assert tree.grows(9, 9, roots, [])
    assert not tree.grows(9, 9, (roots[0], WHOLE.root(8)), [])
    assert not tree.grows(9, 8, roots, [roots[0]])
    assert not tree.grows(0, 8, roots, [roots[0]])


def test_an_edge_grows_on_from_its_tiles() -> None:
    """What the tiles of one size hold is all that the next size needs."""
    first, tiles = grown(700)
    edge = TileReader(tiles.get, 700).edge()
    assert (edge, edge.root()) == (first, first.root())
    for leaf in LEAVES[700:1000]:
        list(edge.append(leaf_hash(leaf)))
    assert edge.root() == WHOLE.root(1000)


def test_a_full_tile_stands_for_a_partial_one() -> None:
    """Partial tiles may be deleted once the full one is there."""
    _, full = grown(512)
    small, tiles = grown(300)
    tiles = {name: data for name, data in tiles.items() if not name.startswith("tile/0/001")}
    assert TileReader((full | tiles).get, 300).edge() == small


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_tile_that_is_missing_or_short_gives_no_hash(damage: bytes | None) -> None:
    """It is named."""
    _, tiles = grown(300)
    name = tile_name(0, 1, 44)
    found = tiles | {name: damage} if damage is not None else tiles
    if damage is None:
        del found[name]
    with pytest.raises(LookupError, match=r"tile/0/001\.p/44"):
        TileReader(found.get, 300).edge()


@pytest.mark.parametrize(
    ("index", "width", "name"),
    [
        (0, 256, "tile/0/000"),
        (999, 256, "tile/0/999"),
        (1000, 256, "tile/0/x001/000"),
        (1234067, 256, "tile/0/x001/x234/067"),
        (1234067, 8, "tile/0/x001/x234/067.p/8"),
    ],
)
def test_names_of_tiles(index: int, width: int, name: str) -> None:
    """The specification's own example, and its neighbours."""
    assert tile_name(0, index, width) == name


def test_bundles() -> None:
    """Leaves come out as they went in; what is none is told from them."""
    data = bundled(LEAVES[:3])
    assert unbundled(data) == LEAVES[:3]
    assert unbundled(b"") == []
    assert unbundled(data[:-1]) is None
    assert unbundled(data + b"\0") is None
