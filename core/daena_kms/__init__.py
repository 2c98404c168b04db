"""daena-kms: rotate the keys that applications use, in the cloud where they live, and prove it.

The public names are imported from their modules, so that no SDK is loaded before it is used:

- :func:`daena_kms.cloud_kms.get_cloud_kms_adapter` and the adapters beside it,
- :func:`daena_kms.audit.open_log`,
- :func:`daena_kms.engine.run` and the audited operations in :mod:`daena_kms.operations`,
- the errors in :mod:`daena_kms.errors`.
"""

__version__ = "0.1.0"
