"""Objects in a bucket are listed page by page and from a name on, and read in part."""

from collections.abc import Iterator

import pytest
from daena_kms.objects.base import Objects

from tests.unit.objects import named_places

NAMES = [
    f"log/2026/03/0{day}/1{hour}/{number:032x}/000000.json"
    for day in (1, 2)
    for hour in (0, 1)
    for number in range(3)
]


@pytest.fixture(params=["s3", "blobs", "gcs"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    """Give a simulated bucket of each cloud, filled in no order."""
    with getattr(named_places, f"simulated_{request.param}")(monkeypatch) as place:
        for name in reversed(NAMES):
            place.log.put_new(name, b"12345")
        yield place.log


def test_a_listing_says_how_large_an_object_is(log: Objects) -> None:
    """Ordered by name, as runs need it."""
    assert [(entry.name, entry.size) for entry in log.entries("log/")] == [(n, 5) for n in NAMES]
    assert [entry.name for entry in log.scan("log/2026/03/02/")] == NAMES[6:]


@pytest.mark.parametrize("after", [NAMES[0], "log/2026/03/01/11/", "log/2026/03/02", "log0"])
def test_a_listing_begins_after_a_name(log: Objects, after: str) -> None:
    """Or after a beginning of one."""
    assert [e.name for e in log.scan("log/", after)] == [n for n in NAMES if n > after]


@pytest.mark.parametrize("limit", [1, 4, 5, 6, 1 << 20])
@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_an_object_is_read_up_to_a_limit(log: Objects, size: int, limit: int) -> None:
    """However large it is."""
    log.put_new("log/object", b"x" * size)
    assert log.get_up_to("log/object", limit) == b"x" * min(size, limit)
    assert log.get_up_to("log/none", limit) is None
