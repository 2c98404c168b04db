"""Ask S3 for the pages of a bucket's listing, signed by botocore.

An S3 client of botocore would load the model of all of S3 in each cold start, for one call.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from daena_kms.sdk.rest import Asker, Caller

_REGION = "us-east-1"
_TRUE = {"true", "1", "yes", "on", True}
_NAMES = {
    "access_key_id": "access_key_id",
    "secret_access_key": "secret_access_key",
    "token": "token",
    "session_token": "token",
}


def asker(store: Any) -> Asker:
    """Return what asks for pages of the bucket of an obstore store.

    Permissions: ``s3:ListBucket`` on the bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.httpsession import where

    region = store.config.get("region") or _REGION
    caller = Caller(store, _NAMES, (BotoCoreError, ClientError))

    def authorize(url: str) -> Mapping[str, str]:
        known = caller.credential()
        if not known.get("access_key_id"):
            return {}
        request = AWSRequest("GET", url)
        keys = (known["access_key_id"], known["secret_access_key"], known.get("token"))
        S3SigV4Auth(Credentials(*keys), "s3", region).add_auth(request)
        return dict(request.headers.items())

    return Asker(_address(store.config, region), authorize, where, store.client_options)


def _address(config: Mapping[str, Any], region: str) -> str:
    """Return the bucket's address as obstore forms it."""
    bucket = quote(str(config["bucket"]), safe="")
    own = config.get("endpoint_url_s3") or config.get("endpoint")
    endpoint = str(own or f"https://s3.{region}.amazonaws.com").rstrip("/")
    if config.get("virtual_hosted_style_request") not in _TRUE:
        return f"{endpoint}/{bucket}"
    if own:
        return endpoint
    return f"https://{bucket}.{urlsplit(endpoint).netloc}"
