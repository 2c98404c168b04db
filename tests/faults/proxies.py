"""Something between a client of AWS and the simulator that answers in its place."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.aws.in_process import connect
from infra.local.aws.sim import AwsSimulator, Clients, clients
from infra.local.http_server import Request, Response

type Change = Callable[[Response], Response]
type When = Callable[[Mapping[str, object]], bool]

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "1"}


@dataclass
class _Plan:
    change: Change
    first: bool
    times: int
    when: When


class Proxy:
    """Passes requests on, and answers planned ones itself.

    Args:
        sim: Where the requests go.
    """

    def __init__(self, sim: AwsSimulator) -> None:
        self._sim = sim
        self._planned: dict[str, _Plan] = {}
        #: How often it answered itself, by operation.
        self.answered: list[str] = []

    def clients(self, **options: Any) -> Clients:
        """Return clients of which every request passes here."""
        made = clients(self._sim.url, **options)
        for client in made:
            connect(client, self)
        return made

    def answer(
        self,
        operation: str,
        response: Response | Change,
        *,
        first: bool = True,
        times: int = 1,
        when: When = lambda _asked: True,
    ) -> None:
        """Answer the next requests for an operation.

        Args:
            operation: Its name on the wire.
            response: The answer, or what makes one from the service's own.
            first: Whether the service gets the request, and does what it says.
            times: How many requests.
            when: Says of a request's members whether it is one of them.
        """
        change = response if callable(response) else lambda _theirs: response
        self._planned[operation] = _Plan(change, first, times, when)

    def __call__(self, request: Request) -> Response | None:
        """Answer a request."""
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        plan = self._planned.get(operation)
        if plan is None or plan.times < 1 or not plan.when(json.loads(request.body)):
            return self._sim.ask(request)
        theirs = self._sim.ask(request) if plan.first else Response(200)
        if theirs is None:
            return None
        plan.times -= 1
        self.answered.append(operation)
        return plan.change(theirs)


def refusal(code: str, message: str, status: int = 400) -> Response:
    """Return an error of the service."""
    return Response(status, json.dumps({"__type": code, "message": message}).encode(), JSON)


def with_member(name: str, value: object) -> Change:
    """Return what adds a member to the service's answer."""

    def change(theirs: Response) -> Response:
        body: Mapping[str, object] = json.loads(theirs.body)
        return Response(200, json.dumps({**body, name: value}).encode(), theirs.headers)

    return change
