"""Records about keys that are not found: forged ones, and an honest one whose key comes back."""

import pytest
from daena_kms.errors import AccessDenied, KeyNotFound
from daena_kms.rules.model import Key

from tests.unit.engine import test_forged_duties as forged
from tests.unit.engine.engines import World
from tests.unit.engine.test_forged_duties import KEY, forger, leaked, silent_about_all
from tests.unit.forgers import HOUR

world = forged.world


def test_keys_that_nobody_has_take_no_honest_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation of a key that is not found is kept for a week, behind what the store shows."""
    version = leaked(world)
    put = forger(world, HOUR)
    for part in range(2):
        actions = [
            {"key": f"a{part}-{n}", "kind": "retire", "version": "v", "compromised": True}
            for n in range(200)
        ]
        put.record("intent", put.folder(), 0, actions=actions)
    monkeypatch.setattr(world.store, "revoke", _refusing)
    world.run(2 * HOUR)
    passed_on = world.records("closing")[-1]["unresolved"]
    assert len(passed_on) == 200
    assert (KEY, version) in {(a["key"], a["version"]) for a in passed_on}


def _refusing(*_: object) -> None:
    raise AccessDenied("refused", key_id=KEY)


def test_what_was_left_out_stands_while_its_key_is_not_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is not found at the next look may come back, readable version and all."""
    version = leaked(world)
    world.store.unmark(KEY, version)  # so that the log alone knows it
    silent_about_all(world, 2 * HOUR)

    def missing(key_id: str, **_: object) -> Key:
        raise KeyNotFound("there is no such key", key_id=key_id)

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "describe", missing)
        patch.setattr(world.store, "scan", lambda: iter(()))
        for hours in (3, 30):
            world.run(HOUR * hours)
            (action,) = world.records("closing")[-1]["unresolved"]
            assert (action["key"], action["version"]) == (KEY, version)
    assert world.run(HOUR * 60).revoked_versions == {KEY: [version]}
