"""Answers that did not come from a vault: never done, never absent, never an empty vault."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from daena_kms.errors import StoreUnavailable
from daena_kms.rules.plan import Outcome
from daena_kms.sdk.azure.errors import Unanswered

from infra.local.http_server import Request, Response
from infra.local.server import Operation
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY

KEY = "app-key"
LATER = 91 * DAY
HOUR = timedelta(hours=1)


def _json(content: object) -> Response:
    return Response(200, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _changed(body: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """Change an answer that shows a secret, or each item of a page."""
    content = json.loads(body)
    items = content.get("value")
    if isinstance(items, list):
        return _json({**content, "value": [change(item) for item in items]})
    return _json(change(content))


def _without(body: bytes, name: str) -> Response:
    return _changed(body, lambda item: {n: part for n, part in item.items() if n != name})


def _other(body: bytes) -> Response:
    theirs = f"https://localhost/secrets/other/{'0' * 32}"
    return _changed(body, lambda item: {**item, "id": theirs})


#: Of a proxy, half of one, or of something else, made from the answer that the vault gave.
NONE: dict[str, Callable[[bytes], Response]] = {
    "a page": lambda _: Response(200, b"<html>hello</html>", {"Content-Type": "text/html"}),
    "a page for json": lambda _: Response(
        200, b"<html>hello</html>", {"Content-Type": "application/json"}
    ),
    "empty": lambda _: Response(200, b"", {"Content-Type": "application/json"}),
    "half": lambda body: Response(
        200, body[: len(body) // 2], {"Content-Type": "application/json"}
    ),
    "an empty object": lambda _: _json({}),
    "null": lambda _: _json(None),
    "a list": lambda _: _json([]),
    "text": lambda _: _json("ok"),
    "another object": lambda _: _json({"status": "ok", "value": None}),
    "an error": lambda _: _json({"error": {"code": "x", "message": "y"}}),
    "not found by a proxy": lambda _: Response(404, b"<h1>404</h1>", {"Content-Type": "text/html"}),
    "not found, empty": lambda _: Response(404),
    "not found by a gateway": lambda _: Response(
        404, b'{"statusCode": 404, "message": "x"}', {"Content-Type": "application/json"}
    ),
}
#: The same for answers that show one secret.
NO_SECRET: dict[str, Callable[[bytes], Response]] = {
    "no id": lambda body: _without(body, "id"),
    "no attributes": lambda body: _without(body, "attributes"),
    "another secret": _other,
}


class Instead:
    """Lets the vault do an operation and answers something else, until told otherwise."""

    def __init__(self, world: AzureWorld, patch: pytest.MonkeyPatch) -> None:
        self._perform = world.sim.secrets.perform
        self.operations: set[str] = set()
        self.answer: Callable[[bytes], Response] = lambda _: Response(200)
        patch.setattr(world.sim.secrets, "perform", self._answered)

    def _answered(self, asked: Operation, request: Request) -> Response:
        found = self._perform(asked, request)
        return self.answer(found.body) if asked.name in self.operations else found


@pytest.fixture
def instead(azure: AzureWorld, monkeypatch: pytest.MonkeyPatch) -> Instead:
    """Give answers that can be replaced."""
    return Instead(azure, monkeypatch)


#: Each change through the log: what must be there before, what it does, the call that makes it, and
#: the calls that look at what became of it.
CHANGES: dict[str, tuple[Callable[[AzureWorld], Any], Callable[[AzureWorld], Any], str]] = {
    "create": (bool, lambda w: w.operations().create("new-key"), "SetSecret"),
    "hold": (bool, lambda w: w.operations().hold(KEY), "UpdateSecret"),
    "policy": (
        bool,
        lambda w: w.operations().set_policy(KEY, {"rotate_after": "30d"}),
        "UpdateSecret",
    ),
    "adopt": (
        lambda w: w.foreign("foreign", "x" * 43),
        lambda w: w.operations().adopt("foreign", spec="token"),
        "UpdateSecret",
    ),
    "rollback": (
        lambda w: w.run(HOUR, keys=[KEY]),
        lambda w: w.operations(2 * HOUR).rollback(KEY),
        "SetSecret",
    ),
    "delete": (bool, lambda w: w.operations().delete(KEY), "DeleteSecret"),
    "restore": (
        lambda w: w.operations().delete(KEY),
        lambda w: w.operations().restore(KEY),
        "RecoverDeletedSecret",
    ),
}
LOOKS = {"GetSecret", "GetSecretVersions", "GetDeletedSecret", "GetDeletedSecrets"}


FEW = ("a page", "half", "an empty object", "another secret")
PAIRS = [(c, f) for c in CHANGES for f in ([*NONE, *NO_SECRET] if c == "hold" else FEW)]


@pytest.mark.parametrize(("change", "form"), PAIRS)
def test_a_change(azure: AzureWorld, instead: Instead, change: str, form: str) -> None:
    """A look shows that it took effect; without one that can be read it is unknown."""
    azure.operations().create(KEY, spec="token")
    prepare, act, operation = CHANGES[change]
    prepare(azure)
    instead.answer = {**NONE, **NO_SECRET}[form]
    instead.operations = {operation}
    act(azure)
    assert azure.held().results()[-1]["result"] == Outcome.DONE


@pytest.mark.parametrize("form", ["a page", "no attributes"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_no_look_shows(
    azure: AzureWorld, instead: Instead, change: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change went out, and from then on nothing can be read: unknown."""
    azure.operations().create(KEY, spec="token")
    prepare, act, operation = CHANGES[change]
    prepare(azure)
    instead.answer = {**NONE, **NO_SECRET}[form]
    perform = azure.sim.secrets.perform

    def from_then_on(asked: Operation, request: Request) -> Response:
        if asked.name == operation:
            instead.operations = {operation, *LOOKS}
        return perform(asked, request)

    monkeypatch.setattr(azure.sim.secrets, "perform", from_then_on)
    with pytest.raises(StoreUnavailable):
        act(azure)
    assert azure.held().results()[-1]["result"] == Outcome.UNKNOWN


@pytest.mark.parametrize("form", [*NONE, *NO_SECRET])
def test_a_look(azure: AzureWorld, instead: Instead, form: str) -> None:
    """A key that can't be looked at is neither absent nor deleted."""
    azure.operations().create(KEY, spec="token")
    instead.answer = {**NONE, **NO_SECRET}[form]
    store = azure.adapter.store
    for operations in ({"GetSecret", "GetSecretVersions"}, {"GetDeletedSecret"}):
        instead.operations = operations
        for look in (
            lambda: store.describe(KEY),
            lambda: store.describe(KEY, exact=True),
            lambda: azure.adapter.get_key(KEY),
        ):
            with pytest.raises(Unanswered):
                look()
        instead.operations = set()
        azure.operations().delete(KEY)


#: A listing has these of its own.
NO_ITEMS: dict[str, Callable[[bytes], Response]] = {
    "value is null": lambda _: _json({"value": None, "nextLink": None}),
    "value is an object": lambda _: _json({"value": {}}),
    "an empty item": lambda _: _json({"value": [{}]}),
    "an item that is text": lambda _: _json({"value": ["x"]}),
    "an item without attributes": lambda _: _json(
        {"value": [{"id": "https://localhost/secrets/app-key"}]}
    ),
}


@pytest.mark.parametrize("form", [*NONE, *NO_ITEMS])
def test_a_listing(azure: AzureWorld, instead: Instead, form: str) -> None:
    """A vault that can't be listed is not one without keys: a run ends with an error."""
    azure.operations().create(KEY, spec="token")
    instead.answer = {**NONE, **NO_ITEMS}[form]
    instead.operations = {"GetSecrets"}
    with pytest.raises(Unanswered):
        azure.run(LATER)
    with pytest.raises(Unanswered):
        azure.adapter.list_keys()
    instead.operations = {"GetSecretVersions"}
    with pytest.raises(Unanswered):
        azure.adapter.store.describe(KEY, exact=True)


@pytest.mark.parametrize("form", ["a page", "an empty object", "no id", "another secret"])
def test_a_run(azure: AzureWorld, instead: Instead, form: str) -> None:
    """What the vault did is found by a look: the key is rotated once, and retired once."""
    azure.operations().create(KEY, spec="token")
    instead.answer = {**NONE, **NO_SECRET}[form]
    instead.operations = {"SetSecret", "UpdateSecret"}
    assert azure.run(LATER).rotated == [KEY]
    assert azure.run(LATER + 8 * DAY).retired == [KEY]
    assert len(azure.sim.secrets.versions(KEY)) == 2
    assert azure.verify().problems == []
    compromised = azure.run(LATER + 9 * DAY, keys=[KEY], compromised=True, reason="it leaked")
    assert (compromised.rotated, compromised.revoked) == ([KEY], [KEY])
