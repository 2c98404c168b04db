"""Simulates AWS: Secrets Manager, KMS, S3 and STS, with a call log, faults and a movable clock.

In a test::

    with AwsSimulator() as sim:
        secrets, kms = clients(sim.url)

As a process of its own: ``SimulatorProcess("aws")``.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config

from infra.local.aws.iam import Guarded, Policies
from infra.local.aws.in_process import connect
from infra.local.aws.kms import Kms
from infra.local.aws.protocol import Clock, utc_now
from infra.local.aws.s3 import S3
from infra.local.aws.secrets import SecretsManager
from infra.local.aws.sts import Sts
from infra.local.server import SimServer
from infra.local.simulator import options, serve

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ACCESS_KEY = "AKIDSIMULATED"
#: The access key of everybody else: people, other programs, a test that prepares something.
OTHERS_KEY = "AKIDOTHERS"
BUCKET = "audit"


class AwsSimulator(SimServer):
    """Serves ``secrets``, ``kms``, ``sts`` and ``s3``, which hold the state.

    ``policies`` are those of its callers; one to whom none is attached may do everything.
    """

    def __init__(
        self,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        buckets: tuple[str, ...] = (BUCKET,),
        port: int = 0,
    ) -> None:
        self._clock = clock
        self._shift = timedelta()
        self.kms = Kms(self.now, f"arn:aws:kms:{REGION}:{ACCOUNT}:")
        self.secrets = SecretsManager(
            self.now, f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:", self.kms
        )
        self.sts = Sts(ACCOUNT)
        self.s3 = S3(self.now, buckets)
        self.policies = Policies()
        services = (self.secrets, self.kms, self.sts, self.s3)
        super().__init__(
            [Guarded(each, self.policies, self.kms, self.secrets.store) for each in services],
            port=port,
            monotonic=monotonic,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead an AWS SDK and our audit log to it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
        }

    def now(self) -> datetime:
        """Return the simulated time, which every date in an answer comes from."""
        return self._clock() + self._shift

    def shift_clock(self, *, seconds: float) -> None:
        """Move the simulated time; shifts add up."""
        self._shift += timedelta(seconds=seconds)

    def freeze_listing(self) -> None:
        """Freeze the answers of ListSecrets as they are now. Other operations stay live."""
        with self._lock:
            self.secrets.freeze_listing()

    def unfreeze_listing(self) -> None:
        """Let ListSecrets answer live again."""
        with self._lock:
            self.secrets.listing.unfreeze()

    def clients(self, *, wire: bool = True, **options: Any) -> "Clients":
        """Return clients as :func:`clients` does.

        Without ``wire`` they make a call in this process where others use the connection.
        """
        made = clients(self.url, **options)
        if not wire:
            for client in made:
                connect(client, self.ask)
        return made

    def controls(self) -> dict[str, Callable[..., object]]:
        """Return what can be called over HTTP."""
        return super().controls() | {
            "shift_clock": self.shift_clock,
            "freeze_listing": self.freeze_listing,
            "unfreeze_listing": self.unfreeze_listing,
        }


class Clients(NamedTuple):
    """Real botocore clients that talk to the simulator."""

    secrets: "SecretsManagerClient"
    kms: "KMSClient"


@cache
def _session() -> botocore.session.Session:
    # Loading the service descriptions is slow, and a session caches them.
    return botocore.session.Session()


def clients(
    url: str,
    region: str = REGION,
    *,
    retries: int = 0,
    read_timeout: float = 10,
    access_key: str = ACCESS_KEY,
) -> Clients:
    """Return clients with dummy credentials, which by default do not retry."""
    config = Config(
        retries={"total_max_attempts": retries + 1, "mode": "standard"},
        read_timeout=read_timeout,
        max_pool_connections=32,
    )

    def client(service: str) -> BaseClient:
        return _session().create_client(
            service,
            region_name=region,
            endpoint_url=url,
            config=config,
            aws_access_key_id=access_key,
            aws_secret_access_key=access_key,
        )

    return Clients(
        cast("SecretsManagerClient", client("secretsmanager")), cast("KMSClient", client("kms"))
    )


def main() -> None:
    """Run the simulator until SIGTERM or SIGINT."""
    given = options("Simulated AWS on loopback").parse_args()
    serve(AwsSimulator(port=given.port), given)


if __name__ == "__main__":
    main()
