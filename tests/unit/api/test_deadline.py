"""What an operation over HTTP leaves to the next run when its time is over."""

from datetime import timedelta

from tests.unit.api.asking import ask
from tests.unit.engine.engines import World


def test_what_others_left_open_is_not_settled_after_the_deadline(world: World) -> None:
    """It may be thousands of keys; the operation itself is done, and the next run settles them."""
    world.create("a-key", "b-key")
    world.store.lose_answer("a-key")
    assert world.run(timedelta(), keys=["a-key"]).failed == ["a-key"]
    recoveries = len(world.records("recovery"))

    answer = ask(world, "POST", "/v1/keys/b-key/hold", deadline=0.0)

    assert answer.status == 200
    assert len(world.records("recovery")) == recoveries
    assert [row["key"] for row in world.records("closing")[-1]["unresolved"]] == ["a-key"]
    assert ask(world, "POST", "/v1/keys/b-key/release").status == 200
    assert world.records("closing")[-1]["unresolved"] == []
