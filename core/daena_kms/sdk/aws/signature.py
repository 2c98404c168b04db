"""Sign a request that no client of the SDK makes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from daena_kms.sdk.aws.client import AWS

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_REGION = "us-east-1"


def signature(aws: AWS, url: str, service: str, region: str | None) -> Mapping[str, str]:
    """Return the headers of a signed GET.

    They hold the session's token, if there is one: they are for AWS's own hosts alone.

    Args:
        aws: whose credentials sign.
        url: the address.
        service: the service's name in signatures.
        region: the service's region; ``None``: the one that is set.

    Raises:
        ConfigError: there are no usable credentials.
        AccessDenied: they can't be renewed.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest("GET", url)
    credentials = cast("Credentials", aws.credentials())
    SigV4Auth(credentials, service, region or aws.region or _REGION).add_auth(request)
    return dict(request.headers.items())
