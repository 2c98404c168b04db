"""Microsoft's worker library, with a small Function App of three triggers in it."""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.errors import ConfigError

from infra.local.azure import worker as azure_worker
from infra.local.azure.worker import FunctionApp, Request

SMALL = """
import logging, os, threading

import azure.functions as func
import helper

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
logger = logging.getLogger("small")
together = threading.Barrier(4)

@app.timer_trigger("timer", "%SMALL_SCHEDULE%", run_on_startup=False, use_monitor=True)
@app.retry("fixed_delay", max_retry_count="2", delay_interval="00:01:00")
def tick(timer: func.TimerRequest, context: func.Context) -> None:
    logger.debug("a detail")
    logger.info("past due: %s", timer.past_due)
    logger.info("attempt %s of %s", context.retry_context.retry_count,
                context.retry_context.max_retry_count)
    worker = threading.Thread(target=logger.warning, args=("from a thread",))
    worker.start()
    worker.join()
    if "SMALL_FAIL" in os.environ:
        raise ValueError("on purpose")

@app.route("v1/{*path}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    if req.get_body() == b"fail":
        raise ValueError("on purpose")
    text = "|".join([req.method, req.url, req.route_params["path"], req.params.get("q", ""),
                     req.headers.get("X-Caller", ""), req.get_body().decode(), helper.WORD])
    return func.HttpResponse(text, status_code=201, headers={"X-Made": "yes"},
                             mimetype="application/problem+json")

@app.route("v1/health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> str:
    return "fine"

@app.route("v1/together", methods=["GET"])
def meet(req: func.HttpRequest) -> str:
    return str(together.wait(timeout=20))

@app.event_grid_trigger("event")
def noted(event: func.EventGridEvent) -> None:
    logger.info("%s of %s about %s", event.event_type, event.subject, event.get_json()["name"])
    if not event.subject:
        raise KeyError("on purpose")
"""
OTHER = """
import azure.functions as func

app = func.FunctionApp()

@app.timer_trigger("timer", "0 0 3 * * *")
def other(timer: func.TimerRequest) -> None:
    pass
"""
EVENT = {
    "id": "1",
    "topic": "/subscriptions/0/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v",
    "subject": "orders-key",
    "eventType": "Microsoft.KeyVault.SecretNearExpiry",
    "eventTime": "2026-03-01T12:00:00Z",
    "data": {"name": "orders-key"},
    "dataVersion": "1",
}


def write(folder: Path, source: str) -> Path:
    """Write an app, and a module that it may import."""
    folder.mkdir()
    (folder / "function_app.py").write_text(source)
    (folder / "helper.py").write_text(f"WORD = {folder.name!r}")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the small app."""
    return write(tmp_path / "small", SMALL)


@pytest.fixture
def app(folder: Path) -> Iterator[FunctionApp]:
    """The small app, running."""
    with FunctionApp(folder, {"SMALL_SCHEDULE": "0 0 * * * *"}) as running:
        yield running


def test_the_host_gets_to_know_every_function(app: FunctionApp) -> None:
    """Names, triggers and what is particular to them are those that the app declares."""
    assert list(app.functions) == ["tick", "echo", "health", "meet", "noted"]
    assert {f.name: f.trigger.type for f in app.functions.values()} == {
        "tick": "timerTrigger",
        "echo": "httpTrigger",
        "health": "httpTrigger",
        "meet": "httpTrigger",
        "noted": "eventGridTrigger",
    }
    assert {function.script_file for function in app.functions.values()} == {"function_app.py"}
    assert len({function.id for function in app.functions.values()}) == 5


def test_a_timer_shows_its_schedule_and_retries(app: FunctionApp) -> None:
    """The schedule is the app setting's name, which the host resolves; retries are the host's."""
    tick = app.functions["tick"]
    assert tick.trigger.name == "timer"
    assert tick.trigger.settings == {
        "schedule": "%SMALL_SCHEDULE%",
        "runOnStartup": False,
        "useMonitor": True,
    }
    assert tick.retry == {
        "retry_strategy": "fixed_delay",
        "max_retry_count": 2,
        "delay_interval": timedelta(minutes=1),
    }
    assert app.functions["noted"].retry is None


def test_an_http_function_shows_route_and_level(app: FunctionApp) -> None:
    """Route, methods and authorisation level are seen, the app's default level too."""
    trigger, answer = app.functions["echo"].bindings
    assert trigger.settings == {
        "route": "v1/{*path}",
        "methods": ["GET", "POST"],
        "authLevel": "FUNCTION",
    }
    assert (trigger.direction, answer.direction) == ("in", "out")
    assert (answer.name, answer.type) == ("$return", "http")
    assert app.functions["health"].trigger.settings["authLevel"] == "ANONYMOUS"


@pytest.mark.parametrize("late", [False, True], ids=["on time", "past due"])
def test_a_timer_goes_off(app: FunctionApp, *, late: bool) -> None:
    """The function learns whether it is late and which attempt it is; all threads are heard."""
    result = app.timer("tick", past_due=late, retry=1)
    assert result.ok
    assert (result.error, result.traceback, result.response) == (None, None, None)
    small = [record for record in result.records if record.name == "small"]
    assert [(record.levelname, record.getMessage()) for record in small] == [
        ("INFO", f"past due: {late}"),
        ("INFO", "attempt 1 of 2"),
        ("WARNING", "from a thread"),
    ]


def test_a_failing_timer(folder: Path) -> None:
    """What the function raises comes back as text and is in the log, as on Azure."""
    with FunctionApp(folder, {"SMALL_FAIL": "1"}) as app:
        result = app.timer("tick")
    assert not result.ok
    assert result.error == "ValueError('on purpose')"
    assert "function_app.py" in str(result.traceback)
    assert "ValueError: on purpose" in result.log


def test_a_request_arrives_and_is_answered(app: FunctionApp) -> None:
    """Method, address, parameters, headers and body arrive; status, headers and body return."""
    request = Request(
        "POST",
        "https://app.azurewebsites.net/v1/keys/a?q=1&empty=",
        {"X-Caller": "someone"},
        {"path": "keys/a"},
        "grüße".encode(),
    )
    result = app.http("echo", request)
    assert result.ok
    assert result.response is not None
    assert result.response.status == 201
    assert result.response.headers == {
        "x-made": "yes",
        "content-type": "application/problem+json",
    }
    assert result.response.body.decode() == f"POST|{request.url}|keys/a|1|someone|grüße|small"


def test_a_coroutine_may_answer_with_text(app: FunctionApp) -> None:
    """A function may be asynchronous, and text is an answer."""
    response = app.http("health", Request()).response
    assert response is not None
    assert (response.status, response.body) == (200, b"fine")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_failing_request_answers_500(app: FunctionApp) -> None:
    """The caller sees no more than that it failed."""
    result = app.http("echo", Request("POST", body=b"fail"))
    assert not result.ok
    assert result.error == "ValueError('on purpose')"
    assert result.response is not None
    assert (result.response.status, result.response.body) == (500, b"")


def test_an_event_is_delivered(app: FunctionApp) -> None:
    """Type, subject and data of the event arrive."""
    result = app.event("noted", EVENT)
    assert result.ok
    assert "Microsoft.KeyVault.SecretNearExpiry of orders-key about orders-key" in result.log
    failed = app.event("noted", EVENT | {"subject": ""})
    assert (failed.ok, failed.error) == (False, "KeyError('on purpose')")


def test_calls_at_the_same_time(app: FunctionApp) -> None:
    """Four requests that wait for each other all come to their end."""
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: app.http("meet", Request()), range(4)))
    answers = {result.response.body for result in results if result.response is not None}
    assert answers == {b"0", b"1", b"2", b"3"}


def test_debug_is_logged_where_the_setting_says_so(folder: Path) -> None:
    """The worker's own setting brings the root logger to DEBUG."""
    level = logging.root.level
    with FunctionApp(folder, {"PYTHON_ENABLE_DEBUG_LOGGING": "true"}) as app:
        assert "a detail" in app.timer("tick").log
    assert logging.root.level == level


def test_settings_are_the_app_s_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app sees its settings and not ours of that kind; afterwards all is as it was."""
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "a person's")
    monkeypatch.setenv("SMALL_SCHEDULE", "before")
    before = dict(os.environ)
    with FunctionApp(folder, {"SMALL_SCHEDULE": "now", "AZURE_KEY_VAULT_URL": "https://v/"}):
        assert "AZURE_CLIENT_SECRET" not in os.environ
        assert os.environ["SMALL_SCHEDULE"] == "now"
        assert os.environ["FUNCTIONS_WORKER_RUNTIME"] == "python"
        os.environ["OTEL_MADE_BY_THE_APP"] = "1"
    assert dict(os.environ) == before


def test_one_app_after_another(folder: Path, tmp_path: Path) -> None:
    """A second app is not mixed up with the first, nor are modules of the same name."""
    path, modules, threads = list(sys.path), set(sys.modules), threading.active_count()
    with FunctionApp(folder) as first:
        first.timer("tick")
        module = first.module
        with pytest.raises(RuntimeError, match="already running"):
            FunctionApp(tmp_path).start()
    with FunctionApp(write(tmp_path / "other", OTHER)) as second:
        assert list(second.functions) == ["other"]
        assert second.module is not module
    with FunctionApp(write(tmp_path / "third", SMALL)) as third:
        result = third.http("echo", Request(route={"path": ""}))
        assert result.response is not None
        assert result.response.body.endswith(b"|third")
    assert sys.path == path
    assert {"function_app", "helper"} & (set(sys.modules) - modules) == set()
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import azure.functions", "Could not find top level function app"),
        ("import no_such_module_at_all", "no_such_module_at_all"),
        ("raise ValueError('on purpose')", "on purpose"),
        (OTHER.replace("timer: func", "clock: func"), "Extra parameters|not in the function"),
    ],
    ids=["no app", "missing module", "raises", "wrong parameter"],
)
def test_an_app_that_cannot_be_indexed(tmp_path: Path, source: str, says: str) -> None:
    """The library's refusal is an error with its words, and the next app runs."""
    path = list(sys.path)
    with pytest.raises(ConfigError, match=says):
        FunctionApp(write(tmp_path / "bad", source)).start()
    assert sys.path == path
    with FunctionApp(write(tmp_path / "good", OTHER)) as app:
        assert app.timer("other").ok


def test_a_folder_without_an_app(tmp_path: Path) -> None:
    """A wrong folder is said to be one."""
    with pytest.raises(ConfigError, match=r"no function_app\.py"):
        FunctionApp(tmp_path).start()


def test_it_says_that_the_library_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the worker library there is an error that says how to come by it."""
    monkeypatch.setattr(azure_worker, "_LIBRARY", "no_such_library")
    with pytest.raises(ConfigError, match="azure-functions-runtime"):
        FunctionApp(folder).start()
