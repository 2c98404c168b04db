"""Answers of Secret Manager that are none: empty messages, another's, half of one; and web pages.

They come from a proxy or an emulator in between. None of them is taken for a change that was made,
for an absent key or for an empty value.
"""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.engine import run
from daena_kms.errors import DaenaKMSError, StoreUnavailable
from daena_kms.operations import Operations
from daena_kms.rules.plan import Outcome
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceRestTransport,
)

from infra.local.gcp.sim import PROJECT
from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import open_world

KEY = "app-token"
LATER = 91 * DAY
OTHER = f"projects/{PROJECT}/secrets/another"


class Client:
    """A client between which and Secret Manager something answers one call by itself."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.operation, self.nth, self.made = "", 0, False
        self.spoil: Callable[[Any], Any] = lambda answer: answer

    def arm(self, operation: str, spoil: Callable[[Any], Any], nth: int, *, made: bool) -> None:
        """Spoil the answer to the nth call of an operation; ``made``: the call takes effect."""
        self.operation, self.spoil, self.nth, self.made = operation, spoil, nth, made

    def __getattr__(self, operation: str) -> Any:
        inner = getattr(self._inner, operation)

        def call(**named: Any) -> Any:
            if operation != self.operation:
                return inner(**named)
            self.nth -= 1
            if self.nth:
                return inner(**named)
            return self.spoil(inner(**named) if self.made else _pretended(self._inner, operation))

        return call


def _pretended(client: Any, operation: str) -> Any:
    """Return a message as that operation answers with."""
    name = f"projects/{PROJECT}/secrets/{KEY}"
    if operation in {"create_secret", "update_secret"}:
        return client.get_secret(name=name)
    return client.get_secret_version(name=f"{name}/versions/1")


def empty(answer: Any) -> Any:
    """Return a message in which everything is missing."""
    return type(answer)()


def of_another(answer: Any) -> Any:
    """Return the message with another's name."""
    _, versions, number = answer.name.partition("/versions/")
    answer.name = f"{OTHER}{versions}{number}"
    return answer


def half(answer: Any) -> Any:
    """Return the message with nothing but its name."""
    return type(answer)(name=answer.name)


def page(_answer: Any) -> Any:
    """Return what is no message."""
    return "<html><body>Sign in</body></html>"


def without_an_etag(answer: Any) -> Any:
    """Return the message without what the next change of it would be made by."""
    answer.etag = ""
    return answer


SPOILED = [empty, of_another, half, page]


class Between:
    """A token whose versions are retired, and a client whose answers can be spoiled."""

    def __init__(self, world: GcpWorld) -> None:
        self.world = world
        self.world.operations().create(KEY, spec="token")
        self.client = Client(world.sim.client(wire=False))
        self.adapter = GCPSecretManagerAdapter(PROJECT, client=self.client)  # type: ignore[arg-type] # it is one in all that we use

    def operations(self) -> Operations:
        """Return the operations."""
        return Operations(self.adapter, self.world.log, now=self.world.at(DAY))

    def run(self, after: Any = LATER, **options: Any) -> Any:
        """Run the engine."""
        return run(self.adapter, self.world.log, now=self.world.at(after), **options)

    def outcomes(self, kind: str) -> list[str]:
        """Return the results of a kind in the log."""
        rows = (row for record in self.world.records() for row in record.get("results", ()))
        return [row["result"] for row in rows if row["kind"] == kind]


@pytest.fixture
def between(tmp_path: Path) -> Iterator[Between]:
    """Give one."""
    with open_world("gcp", tmp_path) as opened:
        assert isinstance(opened, GcpWorld)
        yield Between(opened)


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize(
    ("operation", "nth"),
    [("update_secret", 1), ("add_secret_version", 1), ("update_secret", 2)],
    ids=["claim", "add", "promote"],
)
@pytest.mark.parametrize("made", [True, False], ids=["made", "not-made"])
def test_a_rotation(
    between: Between, operation: str, nth: int, spoil: Callable[[Any], Any], *, made: bool
) -> None:
    """What took effect is found by looking; what did not is unknown, and the next run rotates."""
    between.client.arm(operation, spoil, nth, made=made)
    summary = between.run()
    assert summary.rotated == ([KEY] if made else [])
    assert between.outcomes("rotate") == ([Outcome.DONE] if made else [Outcome.UNKNOWN])
    aliases = between.world.sim.secrets[KEY].version_aliases
    assert aliases["current"] == (2 if made else 1)
    again = between.run(LATER + DAY)
    assert again.failed == []
    assert (again.rotated + again.finished) == ([] if made else [KEY])
    assert between.world.verify().problems == []


def test_a_promotion_that_can_t_be_looked_at(between: Between) -> None:
    """It took effect, and no look shows that at first: unknown, then done."""

    def blind(answer: Any) -> Any:
        between.world.sim.faults.deny("GetSecret")
        return empty(answer)

    between.client.arm("update_secret", blind, 2, made=True)
    assert between.run().failed == [KEY]
    assert between.outcomes("rotate") == [Outcome.UNKNOWN]
    between.world.mend()
    between.run(LATER + DAY)
    assert between.outcomes("rotate") == [Outcome.UNKNOWN, Outcome.DONE]


def test_a_version_without_an_etag_is_not_switched(between: Between) -> None:
    """A switch without a precondition would cancel a destruction."""
    store = between.adapter.store
    between.client.arm("get_secret_version", without_an_etag, 1, made=True)
    with pytest.raises(StoreUnavailable, match="is not whole"):
        store._secrets.disable(KEY, "1")  # type: ignore[attr-defined] # of this store
    assert between.world.sim.secrets[KEY].versions[1].state.name == "ENABLED"


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("operation", ["disable_secret_version", "update_secret"])
def test_a_retirement(between: Between, operation: str, spoil: Callable[[Any], Any]) -> None:
    """It is unknown, and the next run makes it."""
    between.run()
    between.client.arm(operation, spoil, 1, made=False)
    summary = between.run(LATER + 8 * DAY)
    assert (summary.retired, summary.failed) == ([], [KEY])
    assert between.outcomes("retire") == [Outcome.UNKNOWN]
    assert between.run(LATER + 9 * DAY).retired == [KEY]
    assert between.world.sim.secrets[KEY].versions[1].state.name == "DISABLED"


@pytest.mark.parametrize("kind", ["retire", "destroy", "delete"])
def test_a_change_whose_note_is_refused(between: Between, kind: str) -> None:
    """The version is switched, and only the note of it is not written: never failed."""
    between.world.tag(KEY, grace="1d", destroy_after="8d")
    between.run()
    if kind == "destroy":  # of three, one is not kept
        assert between.run(LATER + 2 * DAY, keys=[KEY]).rotated == [KEY]
        assert between.run(LATER + 3 * DAY).retired == [KEY]
        between.run(LATER + 4 * DAY)

    def refused(answer: Any) -> Any:
        between.world.sim.faults.deny("UpdateSecret")
        return answer

    switch = "destroy_secret_version" if kind == "destroy" else "disable_secret_version"
    between.client.arm(switch, refused, 1, made=True)
    if kind == "delete":
        with pytest.raises(StoreUnavailable, match="it was changed"):
            between.operations().delete(KEY)
    else:
        assert between.run(LATER + 13 * DAY).failed == [KEY]
    assert between.outcomes(kind)[-1] == Outcome.UNKNOWN
    between.world.mend()
    between.run(LATER + 14 * DAY)
    assert Outcome.DONE in between.outcomes(kind)


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("kind", ["hold", "release", "policy", "delete", "restore"])
def test_an_operation(between: Between, kind: str, spoil: Callable[[Any], Any]) -> None:
    """It is never done on such an answer; done by hand once more it is."""
    acts: dict[str, Callable[[], object]] = {
        "hold": lambda: between.operations().hold(KEY),
        "release": lambda: between.operations().release(KEY),
        "policy": lambda: between.operations().set_policy(KEY, {"keep": "3"}),
        "delete": lambda: between.operations().delete(KEY),
        "restore": lambda: between.operations().restore(KEY),
    }
    before = {"release": "hold", "restore": "delete"}.get(kind)
    if before is not None:
        acts[before]()
    between.client.arm("update_secret", spoil, 1, made=False)
    with pytest.raises(StoreUnavailable, match="did not come from Secret Manager"):
        acts[kind]()
    assert between.outcomes(kind) == [Outcome.UNKNOWN]
    acts[kind]()
    assert Outcome.DONE in between.outcomes(kind)


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("operation", ["disable_secret_version", "enable_secret_version"])
def test_the_versions_of_a_deleted_key(
    between: Between, operation: str, spoil: Callable[[Any], Any]
) -> None:
    """Whether they are switched is unknown."""
    if operation.startswith("enable"):
        between.operations().delete(KEY)
    act = between.operations().delete if operation[0] == "d" else between.operations().restore
    between.client.arm(operation, spoil, 1, made=False)
    with pytest.raises(StoreUnavailable):
        act(KEY)
    kind = "delete" if operation[0] == "d" else "restore"
    assert between.outcomes(kind) == [Outcome.UNKNOWN]


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("made", [True, False], ids=["made", "not-made"])
def test_a_creation(between: Between, spoil: Callable[[Any], Any], *, made: bool) -> None:
    """What was made is found, and gets its value; what was not is an error."""
    between.client.arm("create_secret", spoil, 1, made=made)
    if made:
        assert between.operations().create("new-key") == "1"
        assert between.adapter.get_key("new-key")
        return
    with pytest.raises(StoreUnavailable):
        between.operations().create("new-key")
    assert Outcome.UNKNOWN in between.outcomes("create")


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize(
    ("operation", "act"),
    [
        ("get_secret", lambda b: b.adapter.store.describe(KEY)),
        ("get_secret_version", lambda b: b.adapter.store._secrets.get_version(KEY, "1")),
        ("access_secret_version", lambda b: b.adapter.get_key(KEY)),
    ],
    ids=["look", "version", "value"],
)
def test_a_look(
    between: Between,
    operation: str,
    act: Callable[[Between], object],
    spoil: Callable[[Any], Any],
) -> None:
    """It shows nothing: neither that there is no such key, nor an empty value."""
    between.client.arm(operation, spoil, 1, made=True)
    with pytest.raises(DaenaKMSError) as caught:
        act(between)
    assert isinstance(caught.value, StoreUnavailable)
    assert act(between)


@pytest.mark.parametrize(
    ("operation", "spoil"),
    [
        *(("list_secrets", spoil) for spoil in (empty, half)),  # another secret is one
        *(("list_secret_versions", spoil) for spoil in (empty, of_another, half, without_an_etag)),
    ],
)
def test_a_listing(between: Between, operation: str, spoil: Callable[[Any], Any]) -> None:
    """Of items that are none: the run fails, instead of finding nothing to do."""

    def spoiled(pager: Any) -> Any:
        class Pager:
            pages = iter([_spoiled_items(next(iter(pager.pages)), spoil)])

        return Pager()

    between.client.arm(operation, spoiled, 1, made=True)
    look = between.run if operation == "list_secrets" else _look(between)
    with pytest.raises(StoreUnavailable):
        look()


def _look(between: Between) -> Callable[[], object]:
    return lambda: between.adapter.store.describe(KEY, exact=True)


def _spoiled_items(listed: Any, spoil: Callable[[Any], Any]) -> Any:
    field = "secrets" if hasattr(listed, "secrets") else "versions"
    setattr(listed, field, [spoil(item) for item in getattr(listed, field)])
    return listed


def _page(body: bytes) -> type[BaseHTTPRequestHandler]:
    """Return what answers everything with 200 and this body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    methods = dict.fromkeys(("do_GET", "do_POST", "do_PATCH"), answer)
    return type("Page", (BaseHTTPRequestHandler,), {**methods, "log_message": lambda *_: None})


@pytest.fixture(params=[b"<html>Sign in</html>", b"", b"{}", b'{"name": "projects'])
def web_page(request: pytest.FixtureRequest) -> Iterator[GCPSecretManagerAdapter]:
    """An adapter whose client speaks HTTP, to something that is not Secret Manager."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _page(request.param)) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        transport = SecretManagerServiceRestTransport(
            host=f"127.0.0.1:{server.server_port}",
            url_scheme="http",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call] # as it is declared
        )
        client = SecretManagerServiceClient(transport=transport)
        yield GCPSecretManagerAdapter(PROJECT, client=client)
        server.shutdown()
        serving.join()


def test_a_page_over_http(web_page: GCPSecretManagerAdapter) -> None:
    """A client over REST takes it for no answer, whatever its status says."""
    for act in (
        lambda: web_page.get_key(KEY),
        lambda: web_page.store.describe(KEY),
        lambda: web_page.create_key(KEY),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            act()
        assert "Sign in" not in str(caught.value)
