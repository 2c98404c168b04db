"""The log's objects in S3, by ``obstore``: one library for every cloud's objects."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.audit.objects import AlreadyExists, Entry, Objects
from daena_kms.errors import AuditUnavailable, ConfigError, DaenaKMSError

if TYPE_CHECKING:
    from obstore.store import S3Credential, S3Store

#: A put that takes longer fails the run closed, well before a function's time is over.
TIMEOUT = timedelta(seconds=10)
RETRY_TIMEOUT = timedelta(seconds=25)
_CREDENTIALS_LIVE = timedelta(minutes=10)


class CloudObjects(Objects):
    """Objects in a bucket, through an ``obstore`` store whose prefix is set already."""

    def __init__(self, store: "S3Store", url: str) -> None:
        self._store = store
        self.url = url

    def put_new(self, name: str, data: bytes) -> None:
        """Put with ``If-None-Match: *``."""
        import obstore  # noqa: PLC0415 - only where a cloud holds the log

        with self._errors("written"):
            obstore.put(self._store, name, data, mode="create", use_multipart=False)

    def get(self, name: str) -> bytes | None:
        """Get one object."""
        import obstore  # noqa: PLC0415 - as above

        with self._errors("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None  # or there is no such bucket, which the next put will say

    def entries(self, prefix: str) -> list[Entry]:
        """List by prefix."""
        import obstore  # noqa: PLC0415 - as above

        with self._errors("listed"):
            metas = [meta for chunk in obstore.list(self._store, prefix) for meta in chunk]
        entries = [Entry(meta["path"], meta["last_modified"].astimezone(UTC)) for meta in metas]
        return sorted(entries, key=lambda entry: entry.name)

    def children(self, prefix: str) -> list[str]:
        """List with a delimiter."""
        import obstore  # noqa: PLC0415 - as above

        with self._errors("listed"):
            found = obstore.list_with_delimiter(self._store, prefix)["common_prefixes"]
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from obstore import exceptions  # noqa: PLC0415 - as above

        try:
            yield
        except exceptions.AlreadyExistsError:
            raise AlreadyExists from None
        except (DaenaKMSError, AlreadyExists):
            raise
        except (exceptions.BaseError, OSError) as error:
            # The library's own text is not passed on: it may quote a whole answer.
            kind = type(error).__name__
            msg = f"the audit log {self.url} can't be {what} ({kind})"
            todo = "Check its address, the permissions on it, and that it answers"
            if isinstance(error, exceptions.UnauthenticatedError):
                todo = "Check the credentials that the cloud's SDK finds"
            raise AuditUnavailable(msg, todo=todo) from None


def s3_objects(  # noqa: PLR0913 - an address, and whose credentials
    url: str,
    bucket: str,
    prefix: str,
    *,
    region: str | None,
    credentials: Callable[[], Any],
    environ: Mapping[str, str] = os.environ,
) -> CloudObjects:
    """Return the objects in a bucket.

    ``credentials`` returns botocore credentials. Permissions: ``s3:PutObject``, ``s3:GetObject``
    on ``prefix/log/*`` and ``s3:ListBucket`` on the bucket. A bucket with default retention
    refuses a put without a checksum, so each carries one.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
    """
    try:
        from obstore.store import S3Store  # noqa: PLC0415 - only where S3 holds the log
    except ModuleNotFoundError:
        msg = "obstore is not installed, which writes the audit log to S3"
        raise ConfigError(msg, todo="Run: pip install 'daena-kms[aws]'") from None

    def provide() -> "S3Credential":
        # obstore by itself ignores AWS profiles; its own bridge to boto3 imports all of boto3.
        frozen = credentials().get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LIVE,
        }

    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    store = S3Store(
        bucket,
        prefix=prefix or None,
        config={
            "checksum_algorithm": "SHA256",
            **({"region": region} if region else {}),
            **({"endpoint": endpoint} if endpoint else {}),
        },
        client_options={
            "timeout": TIMEOUT,
            "connect_timeout": TIMEOUT / 2,
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
        },
        retry_config={"max_retries": 4, "retry_timeout": RETRY_TIMEOUT},
        credential_provider=provide,
    )
    return CloudObjects(store, url)
