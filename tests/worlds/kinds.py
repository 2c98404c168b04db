"""Every kind of world, opened by its name, and the fixtures of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daena_kms.settings import PROVIDERS

from infra.local.aws.sim import AwsSimulator
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.sim import GcpSimulator
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import FaultWorld
from tests.worlds.gcp import GcpWorld
from tests.worlds.local import LocalWorld

#: A world in a cloud, of whichever.
type InCloud = AwsWorld | AzureWorld | GcpWorld

CLOUDS = tuple(name for name in PROVIDERS if name != "local")
KINDS = ("local", *CLOUDS)


@contextmanager
def open_world(kind: str, folder: Path, **options: Any) -> Iterator[FaultWorld]:
    """Give an empty world of that kind; its client is made with the options.

    With ``wire=True`` among them, its SDK's clients connect to the simulator. Otherwise they call
    it, which is all the same but for sockets, TLS and threads, and takes a third of the time. The
    log is over the wire in any case.
    """
    if kind == "local":
        yield LocalWorld(folder)
    else:
        with open_cloud(kind, **options) as world:
            yield world


@contextmanager
def open_cloud(kind: str, **options: Any) -> Iterator[InCloud]:
    """Give an empty world in that cloud; see :func:`open_world`."""
    match kind:
        case "aws":
            with AwsSimulator() as aws:
                yield AwsWorld(aws, **options)
        case "azure":
            with AzureSimulator() as azure, pytest.MonkeyPatch.context() as patch:
                # For what opens the log or the claims by their address.
                patch.setenv("AZURE_STORAGE_ENDPOINT", azure.blob_url)
                yield AzureWorld(azure, **options)
        case "gcp":
            with GcpSimulator() as gcp, pytest.MonkeyPatch.context() as patch:
                patch.setenv("GCP_STORAGE_ENDPOINT", gcp.url)
                yield GcpWorld(gcp, **options)
        case _:
            raise ValueError(kind)


@pytest.fixture
def wire() -> bool:
    """Say whether clients connect to the simulators; who wants that has a fixture that says so."""
    return False


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, *, wire: bool) -> Iterator[FaultWorld]:
    """Give an empty store of each kind with its log."""
    with open_world(request.param, tmp_path, wire=wire) as opened:
        yield opened


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest, *, wire: bool) -> Iterator[InCloud]:
    """Give an empty store in each cloud with its log."""
    with open_cloud(request.param, wire=wire) as opened:
        yield opened


@pytest.fixture
def aws(*, wire: bool) -> Iterator[AwsWorld]:
    """Give an empty AWS."""
    with open_cloud("aws", wire=wire) as opened:
        assert isinstance(opened, AwsWorld)
        yield opened


@pytest.fixture
def azure(*, wire: bool) -> Iterator[AzureWorld]:
    """Give an empty Azure."""
    with open_cloud("azure", wire=wire) as opened:
        assert isinstance(opened, AzureWorld)
        yield opened


@pytest.fixture
def gcp(*, wire: bool) -> Iterator[GcpWorld]:
    """Give an empty Google Cloud."""
    with open_cloud("gcp", wire=wire) as opened:
        assert isinstance(opened, GcpWorld)
        yield opened
