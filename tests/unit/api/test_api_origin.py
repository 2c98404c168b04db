"""A page of another site can't make a browser change a key."""

from collections.abc import Mapping

import pytest
from daena_kms.api.messages import Request, Response
from daena_kms.api.router import respond
from daena_kms.api.routes import ROUTES, Route

from tests.unit.api.asking import ARN, check_problem
from tests.unit.engine.engines import World

CHANGES = [route for route in ROUTES if route.method != "GET"]
FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]


def send(
    world: World,
    headers: Mapping[str, str],
    path: str = "/v1/keys/app-key/rotate",
    method: str = "POST",
) -> Response:
    """Send a change with these headers and no others."""
    asked = Request(method, path, None, ARN, "", headers, "request-1")
    return respond(asked, lambda: (world.adapter, world.log))


@pytest.mark.parametrize("route", CHANGES, ids=lambda route: route.name)
@pytest.mark.parametrize("kind", [None, *FORMS])
def test_what_a_form_can_send_changes_nothing(world: World, route: Route, kind: str | None) -> None:
    """Nor what a script sends without asking first, which has no type at all."""
    world.create("app-key")
    puts = world.log.puts
    headers = {"origin": "https://evil.example", "cookie": "AppServiceAuthSession=x"}
    path = route.path.replace("{key_id}", "app-key")
    sent = {**headers, **({} if kind is None else {"content-type": kind})}
    check_problem(send(world, sent, path, route.method), 415, "wrong-media-type")
    assert (world.store.changes, world.log.puts) == ([], puts)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"user-agent": "curl/8.5.0", "accept": "*/*"},
        {"content-type": "application/json"},
        {"content-type": "Application/JSON;charset=utf-8"},
        {"authorization": "Bearer a.b.c"},
        {"authorization": "AWS4-HMAC-SHA256 Credential=x"},
        {"x-functions-key": "x"},
        {"x-requested-with": "curl"},
        {"x-serverless-authorization": "Bearer a.b.c"},
        {"x-amz-date": "20261129T000000Z"},
        {"sec-fetch-site": "same-origin", "content-type": "application/json"},
        {"sec-fetch-site": "none", "content-type": "application/json"},
    ],
    ids=str,
)
def test_what_no_form_can_send_is_a_program_s(world: World, headers: dict[str, str]) -> None:
    """One such header is enough."""
    world.create("app-key")
    assert send(world, headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "authorization": "Basic dXNlcg=="},
        {"origin": "https://evil.example", "authorization": "negotiate YII="},
        {"origin": "https://evil.example", "authorization": "  NTLM x"},
        {"origin": "https://evil.example", "authorization": "Digest x"},
        {"origin": "https://evil.example", "authorization": ""},
        {"x-functions-key": "", "origin": "null"},
        {"accept": "application/json", "referer": "https://evil.example/"},
        {"cookie": "AppServiceAuthSession=x"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-mode": "no-cors"},
        {"content-type": "text/plain; application/json"},
        {"content-type": "application/jsonp"},
    ],
    ids=str,
)
def test_what_a_browser_adds_by_itself_does_not_count(
    world: World, headers: dict[str, str]
) -> None:
    """It remembers a password for a site, and sends it with every form."""
    world.create("app-key")
    check_problem(send(world, headers), 415, "wrong-media-type")
    assert world.store.changes == []


@pytest.mark.parametrize("site", ["cross-site", "Cross-Site", " cross-site "])
def test_a_browser_says_that_another_site_asks(world: World, site: str) -> None:
    """Then nothing else that was sent counts."""
    world.create("app-key")
    headers = {"sec-fetch-site": site, "content-type": "application/json", "if-match": "*"}
    check_problem(send(world, headers), 403, "cross-site")
    assert world.store.changes == []
