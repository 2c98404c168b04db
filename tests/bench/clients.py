"""Make an adapter's clients, which are made at the first call otherwise."""

from typing import Any


def make_clients(adapter: Any) -> None:
    """Make the clients of the store, and open the claims where there are some. Calls nothing."""
    if hasattr(adapter, "aws"):
        for service in ("secretsmanager", "kms"):
            adapter.aws.client(service)
        return
    store = adapter.store
    for part in ("_vault", "_manager"):
        if hasattr(store, part):
            getattr(store, part)._made()
    if hasattr(store, "_setter"):
        store._setter._claims()
