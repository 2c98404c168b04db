"""A simulated AWS STS, as far as asking who one is: the AWS query protocol.

docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""

import re
from typing import ClassVar
from urllib.parse import parse_qs

from infra.local.aws.protocol import AwsError
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

NOT_MODELLED = "NotModelled"
API_VERSION = "2011-06-15"
_NAMESPACE = f"https://sts.amazonaws.com/doc/{API_VERSION}/"
_FORM = "application/x-www-form-urlencoded"
_SIGNED = re.compile(r"Credential=([^/]+)/[^,]*/sts/")


class Sts:
    """The service; ``known`` are the access keys that there are, all of them where it is empty."""

    name: ClassVar[str] = "sts"

    def __init__(self, account: str) -> None:
        self._account = account
        self.known: set[str] = set()

    def claim(self, request: Request) -> Operation | None:
        """Return the operation; a request is for STS if it is a form signed for it."""
        if not request.headers.get("content-type", "").startswith(_FORM):
            return None
        if _SIGNED.search(request.headers.get("authorization", "")) is None:
            return None
        form = parse_qs(request.body.decode())
        action, version = form.get("Action", [""])[0], form.get("Version", [""])[0]
        known = (action, version) == ("GetCallerIdentity", API_VERSION)
        return Operation(self.name, action if known else NOT_MODELLED, {})

    def perform(self, operation: Operation, request: Request) -> Response:
        """Answer who signed."""
        if operation.name == NOT_MODELLED:
            return _error(AwsError("InvalidAction", "This action is not modelled."))
        found = _SIGNED.search(request.headers["authorization"])
        key = found[1] if found is not None else ""
        if self.known and key not in self.known:
            message = "The security token included in the request is invalid."
            return _error(AwsError("InvalidClientTokenId", message, 403))
        arn = f"arn:aws:iam::{self._account}:user/{key}"
        result = f"<Arn>{arn}</Arn><UserId>{key}</UserId><Account>{self._account}</Account>"
        return _xml(
            200,
            f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>'
            f"{result}</GetCallerIdentityResult></GetCallerIdentityResponse>",
        )

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return a general refusal; the service itself never says that one is not allowed to ask.

        "If an administrator attaches a policy to your identity that explicitly denies access to
        the sts:GetCallerIdentity action, you can still perform this operation."
        """
        match refusal:
            case Refusal.DENIED:
                raise NotImplementedError(operation.name)
            case Refusal.THROTTLED:
                return _error(AwsError("Throttling", "Rate exceeded"))
            case Refusal.INTERNAL:
                return _error(AwsError("InternalFailure", "An internal error occurred.", 500))


def _error(error: AwsError) -> Response:
    kind = "Receiver" if error.status >= 500 else "Sender"
    inner = f"<Type>{kind}</Type><Code>{error.code}</Code><Message>{error.message}</Message>"
    body = f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{inner}</Error></ErrorResponse>'
    return _xml(error.status, body, error.code)


def _xml(status: int, body: str, error: str = "") -> Response:
    return Response(status, body.encode(), {"Content-Type": "text/xml"}, error)
