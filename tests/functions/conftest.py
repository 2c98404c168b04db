"""The functions as they are packed, and a world of simulated AWS around the handler."""

from collections.abc import Iterator

import pytest

from infra.local.aws.sim import AwsSimulator
from infra.local.gcp.sim import GcpSimulator
from infra.packages import lambda_bundle, packing
from tests.faults.leaks import leaked
from tests.functions.aws_world import HANDLER, LambdaWorld
from tests.functions.gcp_world import GcpProject
from tests.worlds.ministack import local_aws

__all__ = ["bundle", "local_aws", "world"]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The functions and all they need, packed once for each test process."""
    folder = tmp_path_factory.mktemp("bundle") / "code"
    lambda_bundle.build(folder, HANDLER)
    return packing.pack(folder)


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
