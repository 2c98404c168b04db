"""Answers of a vault that are not what it would say."""

from collections.abc import Callable

from infra.local.http_server import Request, Response
from infra.local.server import Operation
from tests.worlds.azure import AzureWorld


def answering(operation: str, answer: Callable[[bytes], Response]) -> Callable[[AzureWorld], None]:
    """Let the vault do an operation and answer it with what is made of the answer's body."""

    def plan(world: AzureWorld) -> None:
        perform = world.sim.secrets.perform

        def performed(asked: Operation, request: Request) -> Response:
            found = perform(asked, request)
            return answer(found.body) if asked.name == operation else found

        world.sim.secrets.perform = performed  # type: ignore[assignment, method-assign] # the point

    return plan
