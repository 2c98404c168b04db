"""The examples of the system that this one replaces run unchanged but for the import path."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daena_kms.settings import PROVIDERS

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, AwsSimulator, clients
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.sim import GcpSimulator
from tests.unit.kms.manifests import pem

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```python\n(.*?)```",
    Path(__file__).with_name("seed_examples.md").read_text(),
    flags=re.DOTALL,
)
#: What must be so after each example, in its own names.
AFTER = (
    """
assert adapter.get_key("daena-encryption-key", "previous") == key != rotated_key
assert adapter.get_key("daena-encryption-key") == rotated_key
assert adapter.get_key("daena-encryption-key-v2") == new_key
assert adapter.list_keys() == ["daena-encryption-key", "daena-encryption-key-v2"]
""",
    """
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import get_cloud_kms_adapter
assert key == "new-key"
manifest = kms.load_last_manifest()
assert kms.matches(manifest, "new-key") and not kms.matches(manifest, "another")
chain = kms.verify_chain()
assert chain and chain.manifests == 1, chain
log = open_log(LOG) if LOG else open_log()
report = verify(log, get_cloud_kms_adapter().store.inventory())
assert report.ok, report
""",
)
#: What the first example expects to be there.
BEFORE = """
from daena_kms.cloud_kms import get_cloud_kms_adapter as make
LOG = {log!r}
make().create_key("daena-encryption-key")
"""


@contextmanager
def environment(provider: str, folder: Path) -> Iterator[dict[str, str]]:
    """Give the settings of each cloud's guide, leading to its stand-in."""
    (folder / "signing.pem").write_text(pem())
    (folder / "signing.pem").chmod(0o600)
    signing = {"DAENA_KMS_SIGNING_KEY": str(folder / "signing.pem")}
    if provider == "local":
        yield {"DAENA_KMS_HOME": str(folder / "home")}
    elif provider == "aws":
        with AwsSimulator() as aws:
            made = clients(aws.url)
            yield {
                "AWS_ENDPOINT_URL": aws.url,
                "AWS_REGION": REGION,
                "AWS_KMS_KEY_ID": made.kms.create_key()["KeyMetadata"]["KeyId"],
                "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
                "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
                **signing,
            }
            made.secrets.close()
            made.kms.close()
    elif provider == "azure":
        with AzureSimulator() as azure:
            yield {**azure.environment, **signing}
    else:
        with GcpSimulator() as gcp:
            yield {**gcp.environment, **signing}


@pytest.mark.parametrize("number", range(len(BLOCKS)))
@pytest.mark.parametrize("named", [True, False], ids=["named", "detected"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_it_runs(tmp_path: Path, provider: str, number: int, named: bool) -> None:
    """On every store, with the provider named in the environment or detected from the rest."""
    assert len(BLOCKS) == len(AFTER)
    example = BLOCKS[number].replace("memory_service", "daena_kms")
    assert example.count('"aws"') == 1
    example = example.replace('"aws"', f'"{provider}"')
    with environment(provider, tmp_path) as settings:
        log = (tmp_path / "home" / "audit").as_uri() if provider == "local" else None
        before = BEFORE if number == 0 else "LOG = {log!r}\n"
        program = before.format(log=log) + example + AFTER[number]
        given = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
        if named:
            given["DAENA_CLOUD_KMS_PROVIDER"] = provider
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (0, "")
