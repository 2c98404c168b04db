"""Where AWS's services are reached, by the SDK's own settings and rules.

The rules know each partition's domains (China, the EU's sovereign cloud, GovCloud, the isolated
ones), FIPS and dual stack. Only S3's rules are loaded, a quarter of what its client would take.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.sdk.aws.causes import OTHERS
from daena_kms.sdk.aws.errors import sdk_error
from daena_kms.sdk.forms import check_region, check_url
from daena_kms.sdk.quiet import quiet
from daena_kms.sdk.transport import read_bundle

if TYPE_CHECKING:
    from botocore.session import Session

#: What a service is called in settings, where that is not what its client is called.
#: https://docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html
_IDS = {"secretsmanager": "secrets_manager"}
#: Where S3 is if no region is set, as for a bucket on a store that is compatible with S3.
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """Where a bucket is reached. With ``virtual``, the bucket's name is part of the host."""

    url: str
    region: str
    virtual: bool
    #: The certificates to trust, in PEM; ``None`` for the usual ones.
    certificates: bytes | None = None


def s3_endpoint(session: "Session", region: str | None, bucket: str) -> S3Endpoint:
    """Return where a bucket is reached. Makes no call.

    Args:
        session: The SDK's session.
        region: The region in use, if there is one.
        bucket: The bucket's name.

    Raises:
        ConfigError: The settings contradict each other, or the region has no such endpoint.
    """
    where = check_region(region) if region else _DEFAULT_REGION
    own = configured_endpoint(session, "s3")
    style = _s3_settings(session).get("addressing_style")
    trusted = certificates(session)
    # As the SDK does it: https://docs.aws.amazon.com/boto3/latest/guide/s3.html, addressing_style.
    path_style = style != "virtual" if own else style == "path"
    parameters = {
        "Bucket": bucket,
        "Region": where,
        # Neither goes together with an endpoint of one's own.
        "UseFIPS": not own and bool(_variable(session, "use_fips_endpoint")),
        "UseDualStack": not own and _dual_stack(session),
        "ForcePathStyle": path_style,
        "Accelerate": False,
        "UseGlobalEndpoint": False,
        "DisableMultiRegionAccessPoints": True,
        **({"Endpoint": own} if own else {}),
    }
    resolved = _resolve(session, parameters).rstrip("/")
    virtual = not resolved.endswith(f"/{bucket}")
    return S3Endpoint(
        url=resolved if virtual else resolved.removesuffix(f"/{bucket}"),
        region=where,
        virtual=virtual,
        certificates=trusted,
    )


def configured_endpoint(session: "Session", service: str) -> str | None:
    """Return the URL that is set for a service, or for all of them, in the SDK's order.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html

    Raises:
        ConfigError: It has another form, or the section that holds it does not exist.
    """
    if _variable(session, "ignore_configured_endpoint_urls"):
        return None
    name = _IDS.get(service, service)
    names = (f"AWS_ENDPOINT_URL_{name.upper()}", "AWS_ENDPOINT_URL")
    url, setting = next(((os.environ[n], n) for n in names if os.environ.get(n)), ("", ""))
    if not url:
        profile: dict[str, Any] = session.get_scoped_config()
        section = _section(session, profile.get("services"))
        url = section.get(name, {}).get("endpoint_url") or profile.get("endpoint_url") or ""
        setting = "endpoint_url in the AWS profile"
    if not url:
        return None
    check_url(url, setting)
    return url.rstrip("/")


def certificates(session: "Session") -> bytes | None:
    """Return the certificates to trust, or ``None`` for the usual ones. Raises ``ConfigError``."""
    path = bundle(session)
    if path is None:
        return None
    names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    named = (name for name in names if os.environ.get(name) == path)
    return read_bundle(path, next(named, "ca_bundle in the AWS profile"))


def bundle(session: "Session") -> str | None:
    """Return the file of certificates that the SDK would use: never an empty name."""
    return _variable(session, "ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or None


def _section(session: "Session", name: object) -> dict[str, Any]:
    if not name:
        return {}
    section = session.full_config.get("services", {}).get(name)
    if not isinstance(section, dict):
        msg = "the AWS profile names a section of services that does not exist"
        raise ConfigError(msg, todo="Check services in ~/.aws/config")
    return {key: part if isinstance(part, dict) else {} for key, part in section.items()}


def _s3_settings(session: "Session") -> dict[str, Any]:
    found = session.get_scoped_config().get("s3")
    return found if isinstance(found, dict) else {}


def _dual_stack(session: "Session") -> bool:
    """Return whether dual stack is asked for: S3 has a setting of its own, which goes first."""
    own = _s3_settings(session).get("use_dualstack_endpoint")
    return str(own).lower() == "true" if own else bool(_variable(session, "use_dualstack_endpoint"))


def _variable(session: "Session", name: str) -> Any:
    return session.get_config_variable(name)


def _resolve(session: "Session", parameters: dict[str, Any]) -> str:
    from botocore.endpoint_provider import EndpointProvider
    from botocore.exceptions import BotoCoreError

    try:
        with quiet():
            loader = session.get_component("data_loader")
            rules = loader.load_service_model("s3", "endpoint-rule-set-1")
            provider = EndpointProvider(rules, loader.load_data("partitions"))
            return str(provider.resolve_endpoint(**parameters).url)
    except (BotoCoreError, *OTHERS) as error:
        ours = sdk_error(error)
    raise ours
