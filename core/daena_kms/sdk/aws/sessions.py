"""The session of botocore beneath a session of boto3, which is what users of AWS have."""

import sys
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError
from daena_kms.sdk.aws.errors import sdk_error

if TYPE_CHECKING:
    import boto3
    from botocore.session import Session

_TODO = "Pass session=boto3.Session(…), or leave it out"


def beneath(session: object) -> "Session":
    """Return the session of botocore that a session of boto3 is made of. Makes no call.

    It has the boto3 session's region, profile, credentials and endpoint settings. Our calls use
    it directly, because the functions ship no boto3, for the cold start.

    Raises:
        ConfigError: ``session`` is no ``boto3.Session``, or its profile can't be read.
    """
    # Who has made one has imported this. Nothing else needs it, so it is not imported here.
    known = sys.modules.get("boto3.session")
    if known is None or not isinstance(session, known.Session):
        raise _no_session(session)
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    # boto3 gives no other way to the settings of its profile.
    found = vars(session).get("_session")
    if not isinstance(found, Session):
        raise _no_session(session)
    try:
        found.get_scoped_config()
    except BotoCoreError as error:
        ours = sdk_error(error)
    else:
        return found
    raise ours


def settled(session: "boto3.Session | Session", region: str | None) -> "tuple[Session, str | None]":
    """Return the session of botocore, and the region that goes before ``AWS_REGION``, if any.

    Args:
        session: One of boto3, whose region goes before the environment's; or the one of an
            adapter, of botocore.
        region: The region that was given beside it, which goes before both.

    Raises:
        ConfigError: It is no session, or its profile can't be read.
    """
    known = sys.modules.get("botocore.session")
    if known is not None and isinstance(session, known.Session):
        return session, region
    found = beneath(session)
    return found, region or found.get_config_variable("region")


def _no_session(session: object) -> ConfigError:
    """Return the error for what is no session of boto3; its type alone is shown, no content."""
    kind = session if isinstance(session, type) else type(session)
    form = f"the class {kind.__name__} itself" if isinstance(session, type) else f"{kind.__name__}"
    msg = f"session must be a boto3.Session, not {form} of {kind.__module__}"
    if kind.__module__ == "botocore.session":
        return ConfigError(msg, todo="Pass session=boto3.Session(botocore_session=…)")
    if kind.__module__ == "botocore.client":
        return ConfigError(msg, todo="Pass a client as secrets_client or kms_client")
    return ConfigError(msg, todo=_TODO)
