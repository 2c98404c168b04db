"""Many faults at once: histories that are drawn, and those that once went wrong."""

import logging
from collections.abc import Iterator
from functools import cache

import pytest

from tests.simulation.base import Cloud
from tests.simulation.clouds import CLOUDS
from tests.simulation.history import draw
from tests.simulation.kept import KEPT
from tests.simulation.player import play, shrink

#: So many seeds in one test.
_EACH = 25
_SEEDS = range(1, 51, _EACH)


@cache
def _cloud(store: str) -> Cloud:
    return CLOUDS[store]()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Say nothing of each fault: there are thousands."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", _SEEDS)
@pytest.mark.parametrize("store", CLOUDS)
def test_what_must_never_be_is_in_no_history(store: str, first: int) -> None:
    """Seeds of their own: torture takes others."""
    cloud = _cloud(store)
    for seed in range(first, first + _EACH):
        history = draw(store, seed, tuple(cloud.outsiders))
        if play(history, cloud).wrong:
            small = shrink(history, cloud)
            played = play(small, cloud)
            pytest.fail("\n".join((f"seed {seed}: {played.wrong}", repr(small), *played.told)))


@pytest.mark.parametrize("name", KEPT)
def test_what_once_went_wrong_does_not_again(name: str) -> None:
    """Each in the small."""
    history = KEPT[name]
    played = play(history, _cloud(history.store))
    assert not played.wrong, "\n".join(played.told)


def test_the_same_seed_gives_the_same_history() -> None:
    """Else nothing of this could be found again."""
    cloud = _cloud("aws")
    history = draw("aws", 7, tuple(cloud.outsiders))
    assert play(history, cloud).told == play(history, cloud).told
