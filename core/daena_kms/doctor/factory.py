"""Chooses the exam for a store, and for the place of an audit log."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from daena_kms.cloud_kms import (
    AWSKMSAdapter,
    AzureKeyVaultAdapter,
    GCPSecretManagerAdapter,
    LocalAdapter,
)
from daena_kms.doctor.base import Exam, Place
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects
from daena_kms.settings import PROVIDERS, Settings
from daena_kms.stores.adapter import CloudKMSAdapter


def exam_of(
    adapter: CloudKMSAdapter, now: Callable[[], datetime], function_url: str | None = None
) -> Exam:
    """Return the checks of the store beneath ``adapter``. Makes no call.

    Args:
        adapter: the adapter that the checks use.
        now: this machine's clock.
        function_url: the address of the function that answers the HTTP API on AWS.

    Raises:
        ConfigError: nobody wrote an exam for this store, or the address is not one of Lambda's.
    """
    settings = Settings.load()
    if function_url is not None and not isinstance(adapter, AWSKMSAdapter):
        raise ConfigError(
            "--function-url is for AWS alone", todo="Leave it out, or use --provider aws"
        )
    if isinstance(adapter, AWSKMSAdapter):
        from daena_kms.doctor.aws import AwsExam

        return AwsExam(adapter.aws, settings.get("AWS_KMS_KEY_ID"), now, function_url)
    if isinstance(adapter, AzureKeyVaultAdapter):
        from daena_kms.doctor.azure import AzureExam

        return AzureExam(adapter, settings, now)
    if isinstance(adapter, GCPSecretManagerAdapter):
        from daena_kms.doctor.gcp import GcpExam

        return GcpExam(adapter, settings, now)
    if isinstance(adapter, LocalAdapter):
        from daena_kms.doctor.local import LocalExam

        named = settings.get("DAENA_KMS_HOME")
        return LocalExam(settings.home, settings.get("DAENA_KMS_MASTER_KEY"), named)
    raise ConfigError(
        f"doctor has no exam for the store of {type(adapter).__name__}",
        todo=f"Use one of: {', '.join(PROVIDERS)}",
    )


def place_of(log: Objects) -> Place:
    """Return the checks of the place of ``log``. Makes no call.

    They use the same credentials as :func:`daena_kms.audit.open_log`.

    Raises:
        ConfigError: nobody wrote checks for this kind of address.
    """
    settings = Settings.load()
    parts = urlsplit(log.url)
    if parts.scheme == "s3":
        from daena_kms.doctor.place_s3 import S3Place
        from daena_kms.sdk.aws.client import AWS

        aws = AWS(settings.get("AWS_REGION"), settings.get("AWS_PROFILE"), {})
        return S3Place(aws, parts.netloc)
    if parts.scheme == "az":
        from daena_kms.doctor.place_blob import BlobPlace
        from daena_kms.sdk.azure.login import Login

        container = parts.path.strip("/").partition("/")[0]
        host = parts.netloc if "." in parts.netloc else None
        login = Login(settings.environ, vault_host=host)
        return BlobPlace(login, parts.netloc, container, settings)
    if parts.scheme == "gs":
        from daena_kms.doctor.place_gcs import GcsPlace
        from daena_kms.sdk.gcp.login import GcpLogin

        return GcsPlace(GcpLogin(settings.environ), parts.netloc, settings)
    if parts.scheme == "file":
        from daena_kms.doctor.place_folder import FolderPlace

        return FolderPlace()
    raise ConfigError(
        f"doctor has no checks for an audit log at {parts.scheme}://",
        todo="Use an address that begins with file://, s3://, az:// or gs://",
    )
