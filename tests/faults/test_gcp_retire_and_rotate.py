"""A run on Google Cloud that retires a version right before it rotates the key, and ends at a call.

The retirement's note goes with the rotation's claim, so between the two nothing notes it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.errors import DaenaKMSError

from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import open_world
from tests.worlds.seam import Effect

KEY = "app-token"
TAGS = {"daena.grace": "1d", "daena.rotate-after": "31d", "daena.destroy-after": "10d"}
#: What such a run calls in the store: a listing, a look, a switch, and the three of a rotation.
CALLS = 6
DUE = 63 * DAY


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[GcpWorld]:
    """A token that was rotated once, a month ago."""
    with open_world("gcp", tmp_path) as opened:
        assert isinstance(opened, GcpWorld)
        opened.operations().create(KEY, spec="token", tags=TAGS)
        assert opened.run(31 * DAY).rotated == [KEY]
        yield opened


def crash(gcp: GcpWorld, nth: int, effect: Effect) -> None:
    """Let the run end at its nth call to the store."""
    seen = iter(range(1, 1000))
    gcp.arm_at(effect, lambda service, _: service == "secretmanager" and next(seen) == nth)
    with contextlib.suppress(DaenaKMSError):
        gcp.run(DUE)
    gcp.mend()


@pytest.mark.parametrize("effect", [Effect.KILLED_BEFORE, Effect.KILLED_AFTER])
@pytest.mark.parametrize("nth", range(1, CALLS + 1))
def test_the_next_run_completes_it(gcp: GcpWorld, nth: int, effect: Effect) -> None:
    """One version becomes current, the old one is retired and noted, and no run does it again."""
    value = gcp.readable(KEY)["2"]
    crash(gcp, nth, effect)
    assert gcp.readable(KEY)[gcp.current(KEY)]
    assert gcp.readable(KEY)["2"] == value
    again = gcp.run(DUE + DAY / 24)
    assert again.failed == []
    secret = gcp.sim.secrets[KEY]
    current = secret.version_aliases["current"]
    assert secret.versions[1].state.name == "DISABLED"
    assert secret.versions[2].state.name == "ENABLED"
    assert gcp.readable(KEY)["2"] == value
    assert current > 2
    later = gcp.run(DUE + DAY / 12)
    assert (later.retired, later.rotated, later.finished, later.failed) == ([], [], [], [])
    assert gcp.run(DUE + 30 * DAY).destroyed == [KEY]
    assert gcp.verify().problems == []
