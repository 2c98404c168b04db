"""The description of the API, held against what the router does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from daena_kms.api import openapi
from daena_kms.api.access import Access, Permission
from daena_kms.api.messages import STATUS, Refusal, Request, Response
from daena_kms.api.router import respond
from daena_kms.api.routes import OPEN, ROUTES, Route
from daena_kms.settings import Settings

from tests.unit.api.asking import ask, check_problem
from tests.unit.engine.engines import World

DOCUMENT = openapi.document()
PUBLISHED = Path(__file__).with_name("openapi.json")
ADDRESSES = {(route.method, route.path) for route in ROUTES} | {("GET", r.path) for r in OPEN}


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    found = part
    if "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found


def test_the_document_is_the_one_that_was_published() -> None:
    """What clients were made from changes on purpose only; the release's number is left out."""
    version = DOCUMENT["info"]["version"]
    published = json.loads(PUBLISHED.read_text())
    published["info"]["version"] = version
    assert json.loads(json.dumps(DOCUMENT)) == published


def test_every_address_and_method_is_described() -> None:
    """And none that is not there; no two routes share a place."""
    described = [
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    ]
    assert {*described} == ADDRESSES
    assert len(described) == len(ROUTES) + len(OPEN)


def test_the_guide_has_every_address_and_permission() -> None:
    """Its table is the router's, and its example of a policy is one."""
    guide = (Path(__file__).parents[3] / "docs" / "API.md").read_text()
    told = set(re.findall(r"^\| `(GET|POST|PATCH) (/v1/\S+)`", guide, flags=re.MULTILINE))
    assert told == ADDRESSES
    row = r"^\| `(GET|POST|PATCH) (/v1/\S+)` .* `([a-z]+)` \|$"
    rows = re.findall(row, guide, flags=re.MULTILINE)
    permissions = {(method, path): word for method, path, word in rows}
    assert permissions == {
        (route.method, route.path): route.may
        if isinstance(route.may, Permission)
        else route.may({})
        for route in ROUTES
    }
    assert {*permissions.values(), "compromise"} == {*Permission}
    example = re.search(r"```json\n(.*?)```", guide, flags=re.DOTALL)
    assert example is not None
    access = Access.load(Settings({"DAENA_KMS_ACCESS": example[1]}))
    deploy = "arn:aws:sts::123456789012:assumed-role/payments-deploy/x"
    assert access.allows(deploy, Permission.ROTATE, "payments-db")
    assert not access.allows(deploy, Permission.ROTATE, "orders-db")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_whoever_may_nothing_is_refused_before_anything_that_was_sent_is_read(
    route: Route, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every address alike: it learns neither what is wrong with it nor what the store holds."""
    monkeypatch.setattr(world.adapter, "store", None)
    monkeypatch.setenv("DAENA_KMS_ACCESS", "[]")
    path = route.path.replace("{key_id}", "app-key")
    if route.query:
        path += f"?{route.query[-1].name}=%20"
    body: dict[str, list[str]] = {
        field.name: [] for field in route.members if field.name != "compromised"
    }
    check_problem(ask(world, route.method, path, body or None), 403, "forbidden")


@pytest.mark.parametrize(
    ("route", "name"), [(r, f.name) for r in ROUTES for f in (*r.query, *r.members)]
)
def test_every_field_is_checked(route: Route, name: str, world: World) -> None:
    """None is read by nobody: what is of no form of its is refused, and nothing is changed."""
    world.create("app-key")
    versions = world.count("app-key")
    path = route.path.replace("{key_id}", "app-key")
    if route.query:
        answer = ask(world, route.method, f"{path}?{name}=%20")
    else:
        answer = ask(world, route.method, path, {name: ["x"]})
    assert answer.status == 400, answer.document
    assert world.count("app-key") == versions


def test_the_guide_has_every_status() -> None:
    """With every type that a problem may have there."""
    guide = (Path(__file__).parents[3] / "docs" / "API.md").read_text()
    rows = re.findall(r"^\| ([\d, ]+) \| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", guide, flags=re.MULTILINE)
    told = {code for _, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    refusals = {kind.code for kind in Refusal.__subclasses__()}
    assert told == refusals | STATUS.keys() - {"key-exists"} | {"config-error", "error"}
    assert {s for statuses, _ in rows for s in statuses.split(", ")} == set(openapi.PROBLEMS) | {
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
