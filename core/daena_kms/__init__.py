"""daena-kms: rotate the keys that applications use, in the cloud where they live, and prove it.

A first rotation, on the store that the environment points to::

    from daena_kms import get_cloud_kms_adapter, open_log, run

    adapter = get_cloud_kms_adapter()       # or "aws", "azure", "gcp", "local"
    adapter.create_key("app-encryption-key")
    print(run(adapter, open_log(), dry_run=True).actions)      # the plan, and why
    summary = run(adapter, open_log())                         # rotate what is due
    adapter.get_key("app-encryption-key")

What there is:

- :func:`run` rotates, retires and destroys by policy; it returns a :class:`Summary`.
- :class:`Operations` are create, adopt, hold, release, rollback, delete and restore, each in the
  audit log.
- :func:`open_log` opens the audit log, and :func:`verify` holds it against a store.
- :func:`get_cloud_kms_adapter` makes one of the adapters: :class:`AWSKMSAdapter`,
  :class:`AzureKeyVaultAdapter`, :class:`GCPSecretManagerAdapter`, :class:`LocalAdapter`. Their own
  methods change the store alone, without an audit record.
- :class:`KeyManagementService` stores values that you bring, and attests each.
- Every error is a :class:`DaenaKMSError`; :mod:`daena_kms.errors` shows them all.

Importing this package loads nothing: each name comes from its module when it is first used, and an
SDK when its cloud is. The extras ``aws``, ``azure``, ``gcp`` and ``all`` install the SDKs.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daena_kms.audit import open_log
    from daena_kms.audit.verify import verify
    from daena_kms.cloud_kms import (
        AWSKMSAdapter,
        AzureKeyVaultAdapter,
        CloudKMSAdapter,
        GCPSecretManagerAdapter,
        LocalAdapter,
        get_cloud_kms_adapter,
    )
    from daena_kms.engine import run
    from daena_kms.errors import (
        AccessDenied,
        AuditUnavailable,
        ConfigError,
        DaenaKMSError,
        InvalidKeyId,
        KeyExists,
        KeyNotFound,
        ManifestInvalid,
        NotManaged,
        Paused,
        RotationConflict,
        StoreUnavailable,
    )
    from daena_kms.kms import KeyManagementService
    from daena_kms.operations import Operations
    from daena_kms.rules.summary import Summary

__version__ = "0.1.0"

__all__ = [
    "AWSKMSAdapter",
    "AccessDenied",
    "AuditUnavailable",
    "AzureKeyVaultAdapter",
    "CloudKMSAdapter",
    "ConfigError",
    "DaenaKMSError",
    "GCPSecretManagerAdapter",
    "InvalidKeyId",
    "KeyExists",
    "KeyManagementService",
    "KeyNotFound",
    "LocalAdapter",
    "ManifestInvalid",
    "NotManaged",
    "Operations",
    "Paused",
    "RotationConflict",
    "StoreUnavailable",
    "Summary",
    "get_cloud_kms_adapter",
    "open_log",
    "run",
    "verify",
]

#: Where a public name is; those that are missing here are errors.
_FROM = {
    **dict.fromkeys(
        (
            *("AWSKMSAdapter", "AzureKeyVaultAdapter", "CloudKMSAdapter"),
            *("GCPSecretManagerAdapter", "LocalAdapter", "get_cloud_kms_adapter"),
        ),
        "cloud_kms",
    ),
    "KeyManagementService": "kms",
    "Operations": "operations",
    "Summary": "rules.summary",
    "open_log": "audit",
    "run": "engine",
    "verify": "audit.verify",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(
        importlib.import_module(f"{__name__}.{_FROM.get(name, 'errors')}"), name
    )
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
