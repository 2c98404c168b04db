"""The guide's text, and the surroundings in which its commands and examples are run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daena_kms.settings import PROVIDERS

from infra.local.aws.sim import ACCESS_KEY, REGION, AwsSimulator, clients
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.sim import PROJECT, GcpSimulator

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "CLOUD_KMS_GUIDE.md").read_text()
PROGRAMS = Path(sys.executable).parent
CLI = Path(__file__).with_name("cloud_cli.py")
STORES = PROVIDERS
#: The bucket that the guide names.
BUCKET = "my-daena-audit"


@dataclass(frozen=True)
class Place:
    """An empty home with the clouds' programs, and what leads to a stand-in."""

    home: Path
    environment: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program there, with nothing of this process's surroundings."""
        return subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@contextmanager
def place(store: str, home: Path) -> Iterator[Place]:
    """Make the surroundings in which somebody follows the guide for a store."""
    programs = home / "bin"
    programs.mkdir()
    for name in ("aws", "az", "gcloud"):
        (programs / name).write_text(f"#!{sys.executable}\n{CLI.read_text()}")
        (programs / name).chmod(0o700)
    path = os.pathsep.join((str(programs), str(PROGRAMS), os.environ["PATH"]))
    own = {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "NO_PROXY": "*"}
    own |= {"AWS_EC2_METADATA_DISABLED": "true"}
    with _stand_in(store) as found:
        yield Place(home, own | found)


@contextmanager
def _stand_in(store: str) -> Iterator[dict[str, str]]:
    """Yield what leads to the stand-in, and what it is called where the guide asks for it."""
    if store == "local":
        yield {}
    elif store == "aws":
        with AwsSimulator(buckets=(BUCKET,)) as aws:
            yield {
                "AWS_ENDPOINT_URL": aws.url,
                "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            }
    elif store == "azure":
        with AzureSimulator() as azure:
            yield _without_settings(azure.environment) | {
                "STAND_IN_VAULT": f"{azure.vault_url}/",
                "STAND_IN_SCOPE": "/subscriptions/one/resourceGroups/daena",
                "STAND_IN_PERSON": "00000000-0000-0000-0000-000000000001",
            }
    else:
        with GcpSimulator(buckets=(BUCKET,)) as gcp:
            yield _without_settings(gcp.environment) | {"STAND_IN_PROJECT": PROJECT}


def _without_settings(environment: dict[str, str]) -> dict[str, str]:
    """Leave out what the guide itself has to set."""
    own = {"AZURE_KEY_VAULT_URL", "DAENA_KMS_AUDIT_URL", "GCP_PROJECT_ID"}
    return {name: value for name, value in environment.items() if name not in own}


def settled(store: str, where: Place) -> Place:
    """Return the place with what the quick start has exported by its end."""
    lead = where.environment
    given = {"DAENA_CLOUD_KMS_PROVIDER": store, "DAENA_KMS_AUDIT_URL": f"file://{where.home}/audit"}
    if store == "local":
        given["DAENA_KMS_HOME"] = str(where.home / "store")
    elif store == "aws":
        made = clients(lead["AWS_ENDPOINT_URL"])
        given |= {"AWS_REGION": REGION, "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena"}
        given["AWS_KMS_KEY_ID"] = made.kms.create_key()["KeyMetadata"]["KeyId"]
        made.kms.close()
        made.secrets.close()
    elif store == "azure":
        given["DAENA_KMS_AUDIT_URL"] = "az://mydaenaaudit/audit"
        given["AZURE_KEY_VAULT_URL"] = lead["STAND_IN_VAULT"]
    else:
        given["DAENA_KMS_AUDIT_URL"] = f"gs://{BUCKET}/daena"
        given["GCP_PROJECT_ID"] = PROJECT
    return Place(where.home, lead | given)


def section(heading: str, text: str = GUIDE) -> str:
    """Return what is below a heading, up to the next one of its rank or above."""
    rank = heading.split(" ", 1)[0]
    rest = text.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(rank)}}} ", rest, flags=re.MULTILINE)[0]


def commands(text: str) -> list[str]:
    """Return the lines of the first console block that somebody types."""
    found = re.search(r"```console\n(.*?)```", text, flags=re.DOTALL)
    assert found is not None
    return [line.removeprefix("$ ") for line in found[1].splitlines() if line.startswith("$ ")]


def examples() -> list[tuple[str, str]]:
    """Return each example in Python with each store that it is said to run on."""
    blocks = re.findall(r"<!-- runs on: (.*?) -->\n```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(blocks) == GUIDE.count("```python\n")
    return [(store, code) for stores, code in blocks for store in stores.split()]


def as_json(text: str) -> dict[str, object]:
    """Return a document that a command printed."""
    found: dict[str, object] = json.loads(text)
    return found
