"""The HTTP API, written once and mounted by every cloud's function.

A handler makes a :class:`~daena_kms.api.messages.Request` from its platform's event and passes it
to :func:`respond`. No answer holds a value. An error is a problem document (RFC 9457) with a stable
``type``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from daena_kms.api.messages import Request, Response
    from daena_kms.engine.clock import Deadline
    from daena_kms.objects.base import Objects
    from daena_kms.stores.adapter import CloudKMSAdapter

#: The methods that a platform passes on if it wants a list. The API itself refuses what an address
#: does not take, in the same way on every cloud.
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def respond(
    request: "Request",
    services: "Callable[[], tuple[CloudKMSAdapter, Objects]]",
    deadline: "Deadline | None" = None,
) -> "Response":
    """Answer one request by :func:`daena_kms.api.router.respond`, which is loaded on first use.

    The scheduled function shares its module with the one that answers HTTP, but does not need the
    API at its cold start.
    """
    from daena_kms.api import router

    return router.respond(request, services, deadline)
