"""Nothing is shipped that no function imports, and nothing is missing: the packages are run."""

import sysconfig
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.rules.specs import NAMES

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, AwsSimulator, clients
from infra.local.azure.sim import AzureSimulator
from tests.functions.azure_telemetry_child import Ingestion, telemetry_settings
from tests.functions.azure_world import SCHEDULE, AzureApp
from tests.infra.built import LIBRARIES, folders_of, path, python_folders, run_alone
from tests.worlds.aws import make_older
from tests.worlds.azure import AzureWorld

#: The exceptions: cryptography's compiled half asks for modules of it by name, as it needs them.
KEPT = ("cryptography/hazmat",)
#: What SDKs read beside modules: models, endpoints, certificates.
DATA = {".json", ".gz"}


def unused(package: Path, loaded: list[str]) -> set[str]:
    """Return the folders with modules that were shipped and not used, without the exceptions."""
    folders = python_folders(package) - folders_of(loaded, package)
    names = {folder.removeprefix(f"{LIBRARIES.as_posix()}/") for folder in folders}
    return {name for name in names if not name.startswith(KEPT)}


@pytest.fixture(scope="module")
def aws() -> dict[str, Any]:
    """What came of running the Lambda package for this machine."""
    with AwsSimulator() as sim:
        made = clients(sim.url)
        kms_key = made.kms.create_key()["KeyMetadata"]["KeyId"]
        adapter = AWSKMSAdapter(secrets_client=made.secrets, kms_client=made.kms)
        adapter.create_key("due-key")
        make_older(adapter, "due-key", 91)
        for number, spec in enumerate(NAMES):
            adapter.create_key(f"key-{number}", spec=spec)
        environment = {
            "AWS_ENDPOINT_URL": sim.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_KMS_KEY_ID": kms_key,
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
        }
        package = path("aws/x86_64")
        told = run_alone("aws_child.py", str(package), str(len(NAMES)), env=environment)
        made.secrets.close()
        made.kms.close()
    return told


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What came of running the prebuilt Function App with its telemetry, in the worker library."""
    worker = tmp_path_factory.mktemp("worker")
    installed = Path(sysconfig.get_path("purelib"))
    for name in ("azure_functions_runtime", "azurefunctions"):
        (worker / name).symlink_to(installed / name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ingestion)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with AzureSimulator() as sim:
        world = AzureApp(None, AzureWorld(sim))  # type: ignore[arg-type] # the app runs elsewhere
        world.secret("due-key", days=91)
        world.secret("fresh-key")
        environment = {
            **sim.environment,
            **telemetry_settings(f"http://127.0.0.1:{server.server_port}/"),
            "DAENA_KMS_SCHEDULE": SCHEDULE,
        }
        package = path("azure/daena-kms-prebuilt")
        yield run_alone("azure_child.py", str(package), str(worker), env=environment)
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_lambda_package_works_alone(aws: dict[str, Any]) -> None:
    """With nothing beside it but Python, it rotates what is due and answers, for every spec."""
    assert aws["rotated"] == ["due-key"]
    assert (aws["health"], aws["plan"], aws["unknown"]) == (200, 200, 404)
    assert set(aws["by name"]) == {200}
    assert aws["outside"] == []


def test_every_folder_of_the_lambda_package_is_imported(aws: dict[str, Any]) -> None:
    """What no function imports is not in it."""
    assert unused(path("aws/x86_64"), aws["loaded"]) == set()


def test_every_model_in_the_lambda_package_is_read(aws: dict[str, Any]) -> None:
    """Of the SDK's data there is what the clients read, and no other service's."""
    models = path("aws/x86_64") / "botocore" / "data"
    shipped = {file for file in models.rglob("*") if file.is_file() and file.parent != models}
    assert {str(file) for file in shipped if file.suffix in DATA} <= set(aws["read"])
    assert len(shipped) == 6  # S3 has its endpoint rules alone


def test_the_prebuilt_function_app_works_alone(azure: dict[str, Any]) -> None:
    """In Microsoft's worker library, with its own libraries, it runs and answers."""
    assert azure["functions"] == ["expiring", "health", "http", "scheduled"]
    assert azure["run"]
    assert (azure["health"], azure["plan"]) == (200, 200)
    assert (azure["rotated"], azure["unknown"]) == (200, 404)


def test_the_prebuilt_function_app_takes_nothing_from_the_source_tree(
    azure: dict[str, Any],
) -> None:
    """What it ran is the package; only the worker library and its driver are from outside."""
    package = path("azure/daena-kms-prebuilt")
    assert Path(azure["package"]).parent == package
    outside = {
        Path(file).name for file in azure["outside"] if "azure_functions_runtime" not in file
    }
    assert outside - {"__init__.py"} <= {"azure_worker.py", "azure_worker_messages.py"}


def test_every_folder_of_the_prebuilt_function_app_is_imported(azure: dict[str, Any]) -> None:
    """What no function imports is not in it."""
    assert unused(path("azure/daena-kms-prebuilt"), azure["loaded"]) == set()
