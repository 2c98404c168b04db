"""A world of simulated AWS around the handler, and one of Google Cloud around the functions."""

from collections.abc import Iterator

import pytest

from infra.local.aws.sim import AwsSimulator
from infra.local.gcp.sim import GcpSimulator
from tests.faults.leaks import leaked
from tests.functions.aws_world import LambdaWorld
from tests.functions.gcp_world import GcpProject


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaWorld]:
    """A simulated AWS, an environment that leads to it, and the handler imported afresh."""
    with AwsSimulator() as sim:
        made = LambdaWorld(sim, monkeypatch)
        yield made
        made.leave()


@pytest.fixture(scope="module")
def gcp_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcpProject]:
    """A simulated Google Cloud project with the functions, which nothing may leak out of."""
    with GcpSimulator() as sim:
        made = GcpProject(sim, tmp_path_factory.mktemp("project"))
        yield made
        made.close()
        written = made.written()
        assert [name for name, text in written.items() if name.endswith(".err") and text] == []
        assert leaked(made.values, written.values()) == []


@pytest.fixture
def gcp(gcp_project: GcpProject) -> GcpProject:
    """The project, without secrets and with an empty audit log."""
    return gcp_project.empty()
