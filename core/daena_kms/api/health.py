"""``/v1/health``: whether the configuration, the store and the log can be used."""

from collections.abc import Callable, Mapping

from daena_kms.api.access import Access
from daena_kms.api.messages import Request, Response
from daena_kms.errors import DaenaKMSError
from daena_kms.notify import check_endpoint
from daena_kms.objects.base import Objects
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter


def health(services: Callable[[], tuple[CloudKMSAdapter, Objects]], request: Request) -> Response:
    """Answer the state of each, in stable words.

    Anybody may ask, so the answer holds no account, address, key or error text. Store and log are
    asked only for a verified caller: otherwise anybody could make calls at the deployment's
    expense, and use up the quota that rotations need.

    Args:
        services: returns the adapter and the log.
        request: the request, which says whether the platform has verified its caller.

    Permissions: for a verified caller those of :meth:`Store.probe`, and listing the log.
    """
    checks: dict[str, str] = {}
    settings = Settings.load()
    try:
        adapter, log = services()
        Access.load(settings)
        check_endpoint(settings)
        _ = settings.min_interval
        checks["configuration"] = "paused" if settings.paused else "ok"
    except DaenaKMSError as error:
        return Response(503, {"ok": False, "checks": {"configuration": error.code}})
    probes: Mapping[str, Callable[[], object]] = {
        "store": adapter.store.probe,
        "audit": lambda: log.children("log/"),
    }
    for name, probe in probes.items() if request.principal is not None else ():
        try:
            probe()
            checks[name] = "ok"
        except DaenaKMSError as error:
            checks[name] = error.code
    healthy = all(state in {"ok", "paused"} for state in checks.values())
    document = {"ok": healthy, "provider": adapter.store.provider, "checks": checks}
    return Response(200 if healthy else 503, document)
