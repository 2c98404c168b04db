"""What every test runs under: no real cloud, no network but loopback, repeatable examples."""

import gc
import os
import sys
from collections.abc import Generator

import coverage
import pytest
from hypothesis import HealthCheck, settings

from tests.worlds import descriptions

pytest_plugins = ["tests.worlds.servers"]

# A developer's own credentials must not reach a test, nor a test the account behind them.
_FOREIGN = ("AWS_", "AZURE_", "DAENA_KMS_", "GCP_", "GOOGLE_")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]
for _name in ("DAENA_CLOUD_KMS_PROVIDER", "DAENA_OPERATOR"):
    os.environ.pop(_name, None)
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Stop a test that talks to, or listens for, anything but this machine."""
    if event in {"socket.bind", "socket.connect", "socket.sendto"}:
        address = arguments[1]
        # An address that isn't a pair is no Internet address: a Unix socket's is its path.
        host = address[0] if isinstance(address, tuple) else "localhost"
    elif event == "socket.getaddrinfo":
        host = "localhost" if arguments[0] is None else arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host not in _LOOPBACK:
        raise RuntimeError(f"a test may use loopback only, not {host!r} ({event})")


sys.addaudithook(_refuse_the_network)

# Time on a busy machine says nothing about the code, so no example has a deadline.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "dev")

descriptions.share()

#: Where the same code runs thousands of times over, or in packages and processes: what they cover,
#: the others cover too. Being watched, a test takes nearly twice as long, SDKs and all.
_UNWATCHED = (
    *("tests/contract/", "tests/docs/", "tests/faults/", "tests/infra/", "tests/local/"),
    *("tests/simulation/", "tests/functions/test_api_fuzz.py", "tests/functions/test_api_same.py"),
    *("tests/unit/engine/test_machine.py", "tests/unit/rules/test_text.py"),
    *("tests/unit/test_architecture.py", "tests/unit/test_locks.py"),
    "tests/unit/test_repository.py",
)
#: But these, which alone reach some of what one cloud's store does when calls fail.
_WATCHED = (
    *("tests/faults/test_aws_", "tests/faults/test_azure_no_answer", "tests/faults/test_gcp_"),
    *(
        "tests/faults/test_azure_transit",
        "tests/faults/test_unseen",
        "tests/contract/test_contract_gcp",
    ),
)
#: By which coverage watches child processes.
_WATCH_CHILDREN = "COVERAGE_PROCESS_CONFIG"


#: The files that take longest, which begin first so that no worker is left with one at the end.
_LONG = (
    *("tests/infra/test_stack.py", "tests/faults/test_matrix.py", "tests/infra/test_terraform_"),
    *("tests/faults/test_kms_matrix.py", "tests/faults/test_races.py", "tests/infra/"),
    *("tests/unit/engine/test_machine.py", "tests/docs/"),
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests in peace, which every worker does for all of them.

    Being watched, it takes half as long again, and shows no more than that modules can be imported:
    ``tests/unit/test_every_module.py`` has that watched, once.
    """
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.stop()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        # What has been collected stays to the end.
        gc.freeze()
        if measured is not None:
            measured.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave some tests out of the measurement of coverage, and begin with the long files."""
    for item in items:
        if item.nodeid.startswith(_UNWATCHED) and not item.nodeid.startswith(_WATCHED):
            item.add_marker("no_cover")
    items.sort(
        key=lambda item: next(
            (n for n, f in enumerate(_LONG) if item.nodeid.startswith(f)), len(_LONG)
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let what they start be unwatched as well."""
    watched = os.environ.get(_WATCH_CHILDREN)
    if watched is None or item.get_closest_marker("no_cover") is None:
        return (yield)
    del os.environ[_WATCH_CHILDREN]
    try:
        return (yield)
    finally:
        os.environ[_WATCH_CHILDREN] = watched
