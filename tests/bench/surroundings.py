"""What the benchmarks run in: dummy credentials, a simulated AWS, processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from daena_kms.cloud_kms import AWSKMSAdapter

from tests.stores.aws_sim import ACCESS_KEY, BUCKET, REGION, clients

ROOT = Path(__file__).parents[2]
AUDIT_URL = f"s3://{BUCKET}/bench"
_FOREIGN = ("AWS_", "AZURE_", "DAENA_", "GCP_", "GOOGLE_", "POWERTOOLS_")


def environment(**extra: str) -> dict[str, str]:
    """Return an environment with no settings of the person who runs this."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "core"), str(ROOT))),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        # Lambda sets both; boto3 reads only the second.
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **extra,
    }


@contextmanager
def surrounded(url: str) -> Iterator[None]:
    """Let this process talk to a simulator, and to nothing else, until the block ends."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment(AWS_ENDPOINT_URL=url))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def new_adapter(url: str) -> AWSKMSAdapter:
    """Return an adapter of the environment's AWS with a KMS key made for it."""
    key = clients(url).kms.create_key()["KeyMetadata"]["KeyId"]
    return AWSKMSAdapter(key_id=key)


def child(module: str, *arguments: str, env: Mapping[str, str]) -> dict[str, float]:
    """Run a module of the benchmarks in a fresh process and return the JSON object it prints."""
    return children(module, [arguments], env=env)[0]


def children(
    module: str, each: Sequence[Sequence[str]], *, env: Mapping[str, str]
) -> list[dict[str, float]]:
    """Run a module in one process for each list of arguments, all at once."""
    # Not the script's own folder but PYTHONPATH leads to what it imports.
    command = [sys.executable, "-P", str(ROOT / f"tests/bench/{module}.py")]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, *arguments], env=dict(env), cwd=ROOT, stdout=subprocess.PIPE
                )
            )
            for arguments in each
        ]
        outputs = [process.communicate()[0] for process in processes]
    for process in processes:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, module)
    return [json.loads(output) for output in outputs]
