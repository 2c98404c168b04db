"""Objects in a bucket are listed page by page and from a name on, and read in part."""

import pytest
from daena_kms.objects.cloud import CloudObjects
from obstore.store import MemoryStore

NAMES = [
    f"log/2026/03/0{day}/1{hour}/{number:032x}/000000.json"
    for day in (1, 2)
    for hour in (0, 1)
    for number in range(3)
]


@pytest.fixture
def log() -> CloudObjects:
    """Give a bucket in memory, filled in no order."""
    made = CloudObjects(MemoryStore(), "memory://")  # type: ignore[arg-type] # as each cloud's
    for name in reversed(NAMES):
        made.put_new(name, b"12345")
    return made


def test_a_listing_says_how_large_an_object_is(log: CloudObjects) -> None:
    """Ordered by name, as runs need it."""
    assert [(entry.name, entry.size) for entry in log.entries("log/")] == [(n, 5) for n in NAMES]
    assert [entry.name for entry in log.scan("log/2026/03/02/")] == NAMES[6:]


@pytest.mark.parametrize("after", [NAMES[0], "log/2026/03/01/11/", "log/2026/03/02", "log0"])
def test_a_listing_begins_after_a_name(log: CloudObjects, after: str) -> None:
    """Or after a beginning of one."""
    assert [e.name for e in log.scan("log/", after)] == [n for n in NAMES if n > after]


@pytest.mark.parametrize("limit", [1, 4, 5, 6, 1 << 20])
@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_an_object_is_read_up_to_a_limit(log: CloudObjects, size: int, limit: int) -> None:
    """However large it is."""
    log.put_new("log/object", b"x" * size)
    assert log.get_up_to("log/object", limit) == b"x" * min(size, limit)
    assert log.get_up_to("log/none", limit) is None
