"""Make an adapter's clients, which are made at the first call otherwise."""

from typing import Any


def make_clients(adapter: Any) -> None:
    """Make the clients of the store, and open the claims where there are some. Calls nothing."""
    store = adapter.store
    # By the parts that hold them: what moved is an error here, not a client left out.
    match store.provider:
        case "aws":
            for service in ("secretsmanager", "kms"):
                adapter.aws.client(service)
        case "azure":
            store._vault._made()
            store._setter._claims()
        case "gcp":
            store._secrets._manager._made()
        case other:
            raise ValueError(other)
