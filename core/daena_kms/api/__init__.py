"""The HTTP API, written once and mounted by every cloud's function.

A handler makes a :class:`~daena_kms.api.messages.Request` of its platform's event and hands it to
:func:`respond`. No answer holds a value. An error is a problem document (RFC 9457) with a stable
``type``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from daena_kms.api.messages import Request, Response
    from daena_kms.engine.clock import Deadline
    from daena_kms.objects.base import Objects
    from daena_kms.stores.adapter import CloudKMSAdapter

#: What a platform that wants a list is to hand on: what an address does not take is refused by us,
#: the same on every cloud.
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def respond(
    request: "Request",
    services: "Callable[[], tuple[CloudKMSAdapter, Objects]]",
    deadline: "Deadline | None" = None,
) -> "Response":
    """Answer one request: :func:`daena_kms.api.router.respond`, loaded when it is first asked.

    A function that runs on a schedule has the handlers' module in common with the one that answers
    HTTP, and its cold start is spared the addresses.
    """
    from daena_kms.api import router

    return router.respond(request, services, deadline)
