"""The description of the API, held against what the router does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from daena_kms.api import openapi, schemas
from daena_kms.api.access import Access, Deed
from daena_kms.api.messages import STATUS, Refusal, Request, Response
from daena_kms.api.router import ROUTES, respond
from daena_kms.settings import Settings

from tests.unit.api.asking import ask
from tests.unit.engine.engines import World

DOCUMENT = openapi.document()
OPEN = {"/v1/health", "/v1/openapi.json"}


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    found = part
    if "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found


def test_every_address_and_method_is_described() -> None:
    """And none that is not there."""
    described = {
        (path, method.upper())
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    }
    routed = {(path, method) for path, methods in ROUTES.items() for method in methods}
    assert described == routed | {(path, "GET") for path in OPEN}


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_what_an_address_takes_is_described(path: str) -> None:
    """The same fields in the query, and the same members in the body."""
    for method, route in ROUTES[path].items():
        operation = DOCUMENT["paths"][path][method.lower()]
        queried = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
        assert queried == set(route.query)
        body = operation.get("requestBody")
        taken: set[str] = set()
        if body is not None:
            schema = resolve(body["content"]["application/json"]["schema"])
            taken = set(schema["properties"])
        assert taken == set(route.body)


def test_the_guide_has_every_address_and_deed() -> None:
    """Its table is the router's, and its example of a policy is one."""
    guide = (Path(__file__).parents[3] / "docs" / "API.md").read_text()
    told = set(re.findall(r"^\| `(GET|POST) (/v1/\S+)`", guide, flags=re.MULTILINE))
    routed = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert told == routed | {("GET", path) for path in OPEN}
    deeds = set(re.findall(r"^\| `(?:GET|POST) .* `([a-z]+)` \|$", guide, flags=re.MULTILINE))
    assert deeds | {"compromise"} == {deed.value for deed in Deed}
    example = re.search(r"```json\n(.*?)```", guide, flags=re.DOTALL)
    assert example is not None
    access = Access.load(Settings({"DAENA_KMS_ACCESS": example[1]}))
    deploy = "arn:aws:sts::123456789012:assumed-role/payments-deploy/x"
    assert access.allows(deploy, Deed.ROTATE, "payments-db")
    assert not access.allows(deploy, Deed.ROTATE, "orders-db")


def test_the_guide_has_every_status() -> None:
    """With every type that a problem may have there."""
    guide = (Path(__file__).parents[3] / "docs" / "API.md").read_text()
    rows = re.findall(r"^\| ([\d, ]+) \| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", guide, flags=re.MULTILINE)
    told = {code for _, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    refusals = {kind.code for kind in Refusal.__subclasses__()}
    assert told == refusals | STATUS.keys() - {"key-exists"} | {"config-error", "error"}
    assert {s for statuses, _ in rows for s in statuses.split(", ")} == set(schemas.PROBLEMS) | {
        "405"
    }


def test_it_is_served_to_everybody(world: World) -> None:
    """As JSON, the same for all."""
    answer = ask(world, "GET", "/v1/openapi.json", principal=None)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(answer.body) == json.loads(json.dumps(DOCUMENT))
    assert answer.document["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere() -> None:
    """In all of the document."""
    found = 0
    pending: list[Any] = [DOCUMENT]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "$ref" in part:
                assert resolve(part)
                found += 1
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    assert found > 50


def test_an_error_that_nobody_expects_is_a_problem_too() -> None:
    """Without its text, which may quote what no answer may hold."""

    def broken() -> Any:
        raise ZeroDivisionError("a canary")

    asked = Request("GET", "/v1/plan", None, "jane", request_id='"><script>')
    answer: Response = respond(asked, broken)
    assert (answer.status, answer.document["type"]) == (500, "urn:daena-kms:error")
    assert "canary" not in answer.body
    assert "script" not in answer.body
    assert answer.headers["x-request-id"] == answer.document["request_id"]
