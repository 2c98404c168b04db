"""A client in the simulator's own process sees what one on the wire sees, and so does the log."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from botocore.exceptions import BotoCoreError, ClientError
from google.api_core.exceptions import GoogleAPICallError

from infra.local.faults import How, only
from tests.worlds.base import DAY, value
from tests.worlds.kinds import CLOUDS, InCloud, open_cloud

KEY = "app-key"
READS = {"aws": "DescribeSecret", "azure": "GetSecret", "gcp": "GetSecret"}


@pytest.fixture(params=CLOUDS)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[InCloud, InCloud]]:
    """Give a world in process and one on the wire."""
    with (
        open_cloud(request.param) as within,
        open_cloud(request.param, wire=True) as wired,
    ):
        yield within, wired


def ask(world: Any, key_id: str) -> Any:
    """Ask the SDK's client itself for a key."""
    match world.provider:
        case "aws":
            return world.secrets.describe_secret(SecretId=key_id)
        case "azure":
            return world.client.get_secret(key_id).properties.tags
        case _:
            return world.client.get_secret(
                request={"name": world.name(key_id)}, retry=None
            ).annotations


def raised(world: InCloud, key_id: str) -> tuple[type, str]:
    """Return what the SDK's client raises, and the service's own word for it."""
    with pytest.raises((AzureError, BotoCoreError, ClientError, GoogleAPICallError)) as caught:
        ask(world, key_id)
    error: Any = caught.value
    code = getattr(error, "response", None) if isinstance(error, ClientError) else None
    return type(error), str(code["Error"]["Code"] if code else getattr(error, "status_code", ""))


def logged(world: InCloud) -> list[tuple[str, str, str, str]]:
    """Return the calls on the store, and how each ended."""
    return [
        (call.service, call.operation, call.principal, call.outcome)
        for call in world.sim.calls
        if call.service in world.services
    ]


def alike(both: tuple[InCloud, InCloud], act: Callable[[InCloud], Any]) -> Any:
    """Do it in both, and return what both say."""
    found = [act(world) for world in both]
    assert found[0] == found[1]
    assert logged(both[0]) == logged(both[1])
    return found[0]


def test_the_same_calls_end_alike(both: tuple[InCloud, InCloud]) -> None:
    """The life of a key: the same operations by the same callers, with the same outcomes."""
    material = value()

    def live(world: InCloud) -> list[Any]:
        world.foreign("their-key", material, {"some": "tag"})
        world.operations().create(KEY)
        world.overwrite("their-key", material[::-1])
        done = world.run(91 * DAY).rotated
        world.tag(KEY, hold="true")
        return [done, world.adapter.get_key("their-key"), world.look(KEY).tags["daena.hold"]]

    assert alike(both, live) == [[KEY], material[::-1], "true"]
    assert len(logged(both[0])) > 8


def test_an_error_of_the_service_is_raised_alike(both: tuple[InCloud, InCloud]) -> None:
    """What is not there, what is denied, and what is throttled."""
    alike(both, lambda world: raised(world, "not-there"))
    for world in both:
        world.operations().create(KEY)
        world.sim.faults.deny(READS[world.provider])
    alike(both, lambda world: raised(world, KEY))
    for world in both:
        world.sim.faults.clear()
        world.sim.faults.throttle(1, when=only(None, READS[world.provider]))
    alike(both, lambda world: raised(world, KEY))
    assert alike(both, lambda world: bool(ask(world, KEY)))


@pytest.mark.parametrize("how", list(How))
def test_a_lost_answer_is_raised_alike(both: tuple[InCloud, InCloud], how: How) -> None:
    """Before a call takes effect and after; the connection ends, or the service fails."""
    for world in both:
        world.operations().create(KEY)
    for plan in ("fail_before", "fail_after"):
        for world in both:
            getattr(world.sim.faults, plan)(when=only(None, READS[world.provider]), how=how)
        alike(both, lambda world: raised(world, KEY))
    assert {row[3] for row in logged(both[0])} > {"failed before", "failed after"}


@pytest.mark.parametrize("kind", CLOUDS)
def test_who_hangs_needs_a_connection(kind: str) -> None:
    """In process nobody gives up, so the simulator says that it can't: it fails when it ends."""

    def hang() -> None:
        with open_cloud(kind) as world:
            world.operations().create(KEY)
            world.sim.faults.hang(when=only(None, READS[kind]))
            with pytest.raises(NotImplementedError, match="no time limit"):
                ask(world, KEY)

    with pytest.raises(ExceptionGroup) as caught:
        hang()
    assert caught.group_contains(NotImplementedError, match="no time limit")
