"""``python -m infra.local [CLOUD…]``: what ``make local`` runs.

It starts the clouds, prints for each the lines to paste in another terminal, and waits. Ctrl-C or
SIGTERM ends them all. What it prints is a shell script: ``make -s local > clouds.sh`` keeps it.

These are our simulators. They refuse what the clouds refuse, where other emulators are lenient:
for AWS, ministack overwrites the value of a version id that was used before, ignores the version
id that a secret is created with, and knows no DryRun. Who tries a rotation here should see what
AWS would answer. ``make demo-aws`` shows ministack, since a Lambda function can run in it.
"""

import argparse
import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from infra.local.simulator import SimulatorProcess

#: Settings of these families could lead the SDKs, or our command line, to a person's real account.
_FAMILIES = (
    *("AWS", "AZURE", "CLOUDSDK", "DAENA", "FUNCTIONS", "GCE", "GCP", "GOOGLE", "IDENTITY"),
    *("MSI", "NO_GCE"),
)
_LAST = """\
# Paste the lines of one cloud in a terminal of its own: what is exported there leads nowhere else,
# and REQUESTS_CA_BUNDLE lets programs trust the simulated vault alone. Ctrl-C here ends the clouds.
"""
_LOOPBACK = "127.0.0.1,localhost"


class _Cloud(NamedTuple):
    """What is printed of a cloud."""

    title: str
    #: The variables beside those that the simulator says.
    further: Callable[[SimulatorProcess], Mapping[str, str]]


def _aws(simulator: SimulatorProcess) -> dict[str, str]:
    from infra.local.aws.sim import clients

    made = clients(simulator.url)
    key = made.kms.create_key(Description="made by make local")["KeyMetadata"]
    made.kms.enable_key_rotation(KeyId=key["KeyId"])
    made.kms.close()
    made.secrets.close()
    return {
        "AWS_KMS_KEY_ID": key["Arn"],
        # The profiles of the person, and the machine's own role, are out of sight.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _azure(simulator: SimulatorProcess) -> dict[str, str]:
    simulator.control("protect", container="audit", protection="has-immutability-policy")
    log = simulator.environment["DAENA_KMS_AUDIT_URL"]
    return {"DAENA_KMS_CLAIMS_URL": f"{log.rpartition('/')[0]}/claims"}


def _gcp(simulator: SimulatorProcess) -> dict[str, str]:
    del simulator
    # What gcloud has stored of a login would come before the metadata server.
    return {"CLOUDSDK_CONFIG": os.devnull}


_CLOUDS = {
    "aws": _Cloud("AWS: Secrets Manager, KMS with a key, S3 with a bucket", _aws),
    "azure": _Cloud("Azure: Key Vault, Blob Storage with containers for log and claims", _azure),
    "gcp": _Cloud("Google Cloud: Secret Manager, Cloud Storage with a bucket", _gcp),
}


def _script(cloud: str, simulator: SimulatorProcess) -> str:
    """Return the lines that lead a shell to a cloud, and away from any real one."""
    found = _CLOUDS[cloud]
    own = {"DAENA_CLOUD_KMS_PROVIDER": cloud, **simulator.environment, **found.further(simulator)}
    own |= {"NO_PROXY": _LOOPBACK, "no_proxy": _LOOPBACK}
    names = "|".join(_FAMILIES)
    lines = [
        f"# {found.title}",
        f"unset DAENA_KMS_HOME $(env | grep -oE '^({names})_[A-Za-z0-9_]*')",
        *(f"export {name}={shlex.quote(text)}" for name, text in own.items()),
    ]
    return "\n".join(lines) + "\n\n"


def _end(_number: int, _frame: FrameType | None) -> None:
    """Begin to end. Another signal meanwhile changes nothing."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the clouds until a signal."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    names = ", ".join(_CLOUDS)
    parser.add_argument(
        "clouds", nargs="*", choices=[*_CLOUDS, []], metavar="CLOUD", help=f"{names}; default: all"
    )
    clouds = dict.fromkeys(parser.parse_args().clouds or _CLOUDS)
    for number in _SIGNALS:
        signal.signal(number, _end)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        programs = shlex.quote(str(Path(sys.executable).parent))
        sys.stdout.write(f'# The command line of this clone\nexport PATH={programs}:"$PATH"\n\n')
        for cloud in clouds:
            simulator = stack.enter_context(SimulatorProcess(cloud))
            sys.stdout.write(_script(cloud, simulator))
        sys.stdout.write(_LAST)
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
