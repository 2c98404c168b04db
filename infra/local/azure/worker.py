"""Runs a Function App in this process, through the worker library that runs it on Azure.

The library (``azure-functions-runtime``) imports the app, indexes its functions and calls them. Its
other side, the Functions host, is not here: this module speaks to the library as the host does, and
the caller plays timer, front end, Event Grid and retries.
"""

import asyncio
import importlib
import importlib.util
import json
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from daena_kms.errors import ConfigError

from infra.local.azure.worker_messages import (
    NONE,
    Binding,
    Function,
    Messages,
    Request,
    Response,
    Result,
    Status,
    function,
    response,
)
from infra.local.base import LocalCloud

__all__ = ["Binding", "Function", "FunctionApp", "Request", "Response", "Result"]

_LIBRARY = "azure_functions_runtime"
_MODULE = "function_app"
#: What the app could take for its own settings, or an SDK for credentials.
_FOREIGN = (
    *("APPLICATIONINSIGHTS_", "AZURE_", "AzureWebJobs", "DAENA_CLOUD_", "DAENA_KMS_"),
    *("DAENA_OPERATOR", "FUNCTIONS_", "IDENTITY_", "MSI_", "OTEL_", "PYTHON_", "WEBSITE_"),
)
_PLATFORM = {"FUNCTIONS_EXTENSION_VERSION": "~4", "FUNCTIONS_WORKER_RUNTIME": "python"}
_DEBUG = "PYTHON_ENABLE_DEBUG_LOGGING"
# The library keeps the app in its globals.
_ONE_AT_A_TIME = threading.Lock()


class FunctionApp(LocalCloud):
    """A Function App in this process, in which only one can run at a time.

    Functions may be called from several threads at once. The library runs them in threads of its
    own. Telemetry that an app's settings switch on can't be switched off again: run such an app in
    a process of its own.

    Args:
        folder: where ``function_app.py`` is.
        settings: the app settings, as environment variables. While the app runs, this process's
            own variables of that kind are taken out of its environment.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = NONE) -> None:
        self.folder = folder.resolve()
        self.settings = {**_PLATFORM, **settings}
        self.functions: Mapping[str, Function] = {}
        self._undo: list[Callable[[], object]] = []

    @property
    def module(self) -> ModuleType:
        """The app's module, as the library imported it."""
        return sys.modules[_MODULE]

    def start(self) -> Self:
        """Import and index the app.

        Raises:
            ConfigError: the library isn't installed, or refused the app.
        """
        if importlib.util.find_spec(_LIBRARY) is None:
            raise ConfigError(
                "to run a Function App needs azure-functions-runtime, which is not installed",
                todo="In a clone of the project, make demo brings it along; so does "
                "pip install --group dev",
            )
        if not _ONE_AT_A_TIME.acquire(blocking=False):
            message = "a Function App is already running in this process: stop it first"
            raise RuntimeError(message)
        self._undo = [_ONE_AT_A_TIME.release]
        try:
            self._enter_environment()
            self._enter_imports()
            self._enter_logging()
            self._enter_library()
            self.functions = {found.name: found for found in self._index()}
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Wait for the library's threads to end, and restore this process's state."""
        while self._undo:
            self._undo.pop()()
        self.functions = {}

    def timer(self, name: str, *, past_due: bool = False, retry: int = 0) -> Result:
        """Fire a timer. ``retry`` is the number of attempts before this one."""
        status = {"Schedule": {"AdjustForDST": True}, "IsPastDue": past_due}
        return self._invoke(name, "json", json.dumps(status), retry)

    def event(self, name: str, event: Mapping[str, object], *, retry: int = 0) -> Result:
        """Deliver one event of Event Grid. ``retry`` is the number of attempts before this one."""
        return self._invoke(name, "json", json.dumps(event), retry)

    def http(self, name: str, request: Request) -> Result:
        """Pass a request to a function. Routes and access keys are left to the host."""
        datum = _library(".bindings.datumdef").Datum

        def texts(values: Mapping[str, str]) -> dict[str, Any]:
            return {name: datum(value, "string") for name, value in values.items()}

        query = parse_qs(urlsplit(request.url).query)
        value = {
            "method": datum(request.method, "string"),
            "url": datum(request.url, "string"),
            # The host passes header names on in lower case.
            "headers": texts({name.lower(): value for name, value in request.headers.items()}),
            "query": texts({name: ",".join(values) for name, values in query.items()}),
            "params": texts(request.route),
            "body": datum(request.body, "bytes"),
        }
        return self._invoke(name, "http", value)

    def _invoke(self, name: str, kind: str, value: object, retry: int = 0) -> Result:
        """Call a function as the host does: by its id, with its trigger's data."""
        called = self.functions[name]
        data = _library(".bindings.datumdef").Datum(value, kind)
        keep = _Keep()
        logging.root.addHandler(keep)
        try:
            ok, returned, _, error, traceback = asyncio.run(
                _library(".native_invocation").invocation_request_native(
                    str(uuid.uuid4()),
                    called.id,
                    [(called.trigger.name, data)],
                    {},
                    retry_count=retry,
                    max_retry_count=(called.retry or {}).get("max_retry_count", 0),
                )
            )
        finally:
            logging.root.removeHandler(keep)
        answer = response(returned) if kind == "http" else None
        return Result(ok, answer, error, traceback, tuple(keep.records))

    def _enter_environment(self) -> None:
        def theirs() -> dict[str, str]:
            return {
                name: value
                for name, value in os.environ.items()
                if name.startswith(_FOREIGN) or name in self.settings
            }

        before = theirs()

        def leave() -> None:
            for name in theirs():
                del os.environ[name]
            os.environ.update(before)

        self._undo.append(leave)
        for name in before:
            del os.environ[name]
        os.environ.update(self.settings)

    def _enter_imports(self) -> None:
        """Let the app import its own modules, which are forgotten at the end."""

        def leave() -> None:
            sys.path.remove(path)
            for name, module in list(sys.modules.items()):
                file = Path(getattr(module, "__file__", None) or "/")
                if file.is_relative_to(self.folder) and "site-packages" not in file.parts:
                    del sys.modules[name]

        path = str(self.folder)
        sys.path.insert(0, path)
        self._undo.append(leave)
        importlib.invalidate_caches()

    def _enter_logging(self) -> None:
        """Set the level that the worker sets."""
        level = logging.root.level
        self._undo.append(lambda: logging.root.setLevel(level))
        debug = self.settings.get(_DEBUG, "").strip().lower() in {"1", "true", "t", "yes", "y"}
        logging.root.setLevel(logging.DEBUG if debug else logging.INFO)

    def _enter_library(self) -> None:
        library = _library()
        telemetry = vars(_library(".otel").otel_manager)
        before = dict(telemetry)
        indexed = _library(".handle_event")._functions._functions  # noqa: SLF001 - its only place

        def leave() -> None:
            library.stop_threadpool_executor()
            telemetry.update(before)
            indexed.clear()

        self._undo.append(leave)
        library.start_threadpool_executor()

    def _index(self) -> list[Function]:
        library = _library()
        asked = SimpleNamespace(capabilities={}, function_app_directory=str(self.folder))
        request = SimpleNamespace(
            request=SimpleNamespace(worker_init_request=asked),
            properties={"host": "127.0.0.1", "protos": Messages()},
        )
        answer = asyncio.run(library.worker_init_request(request))
        if answer.result.status == Status.Failure:
            failure = answer.result.exception
            raise ConfigError(
                f"Azure's worker can't load the Function App: {failure.message}",
                todo=failure.stack_trace[-2000:],
            )
        answer = asyncio.run(library.functions_metadata_request(request))
        found = answer.function_metadata_results
        if found is None:
            raise ConfigError(f"there is no {_MODULE}.py in {self.folder}", todo="Name its folder")
        return [function(metadata) for metadata in found]


class _Keep(logging.Handler):
    """Keeps the records that the worker would send: those of the root logger, at its level."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.records.append(record)


def _library(part: str = "") -> Any:
    """Return the library or a module of it. It is loaded only where an app runs."""
    return importlib.import_module(_LIBRARY + part)
