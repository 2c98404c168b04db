"""A look that was taken before a run began, and how long it serves for the change."""

from pathlib import Path

import pytest
from daena_kms.engine.clock import RunClock

from tests.unit.engine.engines import World


@pytest.mark.parametrize(("seconds", "looks"), [(9, 0), (11, 1)])
def test_a_look_from_before_the_run_ages_while_the_log_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, looks: int
) -> None:
    """After ten seconds the key is looked at anew: it may be on hold by now."""
    world = World(tmp_path)
    world.create("app-key")
    seen = world.store.describe("app-key")
    time = [0.0]
    monkeypatch.setattr(RunClock.__init__, "__defaults__", (lambda: time[0],))
    read, describe = world.log.children, world.store.describe
    looked: list[str] = []

    def slow(prefix: str) -> list[str]:
        time[0] = seconds
        return read(prefix)

    def look(key_id: str, *, exact: bool = False) -> object:
        looked.append(key_id)
        return describe(key_id, exact=exact)

    monkeypatch.setattr(world.log, "children", slow)
    monkeypatch.setattr(world.store, "describe", look)
    summary = world.run(keys=["app-key"], looks={"app-key": seen})
    assert (summary.rotated, len(looked)) == (["app-key"], looks)
