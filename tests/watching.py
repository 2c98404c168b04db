"""Which tests coverage watches, and in which order the files begin."""

import contextlib
import gc
import importlib
import os
from collections.abc import Generator
from typing import Any

import coverage
import pytest

#: Where the same code runs thousands of times over, or in packages and processes: what they cover,
#: the others cover too. Being watched, a test takes nearly twice as long, SDKs and all.
_UNWATCHED = (
    *("tests/contract/", "tests/simulation/", "tests/functions/test_api_fuzz.py"),
    *("tests/functions/test_api_same.py", "tests/functions/test_azure_telemetry.py"),
    *("tests/functions/test_deployed.py", "tests/unit/doctor/test_doctor_document"),
    *("tests/unit/doctor/test_doctor_places", "tests/unit/doctor/test_doctor_odd"),
    *("tests/unit/doctor/test_doctor_function_url", "tests/unit/engine/test_hostile_log.py"),
    *("tests/unit/engine/test_junk_records.py", "tests/unit/engine/test_run_faults.py"),
    *("tests/unit/engine/test_run_limits.py", "tests/unit/engine/test_machine.py"),
    *("tests/unit/audit/test_audit_verify_hostile", "tests/unit/audit/test_audit_bounds"),
    *("tests/unit/rules/test_text.py", "tests/unit/rules/test_plan_properties.py"),
    *("tests/unit/stores/aws/test_aws_histories.py", "tests/unit/cli/test_terminal.py"),
    *("tests/unit/cli/test_readme.py", "tests/unit/test_architecture.py"),
    *("tests/unit/test_locks.py", "tests/unit/test_repository.py"),
)
#: But these, which alone reach most of what the stores do on the wire.
_WATCHED = (
    *("tests/contract/test_contract_aws", "tests/contract/test_contract_azure"),
    *("tests/contract/test_contract_compromised", "tests/contract/test_contract_gcp"),
    *("tests/contract/test_contract_keys", "tests/contract/test_contract_kms"),
    *("tests/contract/test_contract_recovery", "tests/contract/test_contract_runs"),
    *("tests/contract/test_contract_seal", "tests/contract/test_signing_keys"),
)
#: By which coverage watches child processes.
_WATCH_CHILDREN = "COVERAGE_PROCESS_CONFIG"

#: The files that take longest, which begin first so that no worker is left with one at the end.
_LONG = (
    *("tests/infra/test_stack.py", "tests/faults/test_matrix.py", "tests/infra/test_terraform_"),
    *("tests/faults/test_kms_matrix.py", "tests/faults/test_races.py", "tests/infra/"),
    *("tests/unit/engine/test_machine.py", "tests/docs/"),
)

# A worker is a child process too, so coverage watches it from its first line; and pytest-cov, that
# does not know yet that it is one, watches it a second time. Either would go on behind the back of
# what watches the tests from the session's beginning.
while "PYTEST_XDIST_WORKER" in os.environ and (_early := coverage.Coverage.current()) is not None:
    _early.stop()


class _Watch:
    """Stops coverage, and starts it again: seldom, since each time takes longer than the last.

    The marker ``no_cover`` does so for each test, and not for its fixtures, which take half of the
    time.
    """

    def __init__(self) -> None:
        self._stopped: coverage.Coverage | None = None
        self._children: str | None = None

    def stop(self) -> None:
        """Watch nothing from here on, neither this process nor what it starts."""
        measured = coverage.Coverage.current()
        if measured is not None:
            measured.stop()
            self._stopped = measured
            self._children = os.environ.pop(_WATCH_CHILDREN, None)

    def start(self) -> None:
        """Watch again, if anything was watched."""
        if self._stopped is not None:
            self._stopped.start()
            self._stopped = None
            if self._children is not None:
                os.environ[_WATCH_CHILDREN] = self._children


_watch = _Watch()


def _rewrite_a_share(config: pytest.Config) -> None:
    """Import some of the tests' modules, so that each worker finds what the others have rewritten.

    In a new checkout, rewriting the assertions takes longer than all else of collecting, and the
    workers would do it side by side for one module after the other.
    """
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    if not worker:
        return
    number, workers = int(worker["workerid"].removeprefix("gw")), int(worker["workercount"])
    root = config.rootpath
    for path in sorted(root.glob("tests/**/test_*.py"))[number::workers]:
        # What is wrong with a module, collecting it says better.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect the tests in peace, which every worker does for all of them.

    Being watched, it takes half as long again, and shows no more than that modules can be imported:
    ``tests/unit/test_every_module.py`` has that watched, once.
    """
    _watch.stop()
    gc.disable()
    try:
        _rewrite_a_share(session.config)
        return (yield)
    finally:
        gc.enable()
        # What has been collected stays to the end.
        gc.freeze()
        _watch.start()


def _is_watched(item: pytest.Item) -> bool:
    return item.nodeid.startswith(_WATCHED) or not item.nodeid.startswith(_UNWATCHED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is not watched, and of that with the long files."""
    items.sort(
        key=lambda item: (
            _is_watched(item),
            next((n for n, f in enumerate(_LONG) if item.nodeid.startswith(f)), len(_LONG)),
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a test with its fixtures, or neither."""
    if _is_watched(item):
        _watch.start()
    else:
        _watch.stop()
    return (yield)
