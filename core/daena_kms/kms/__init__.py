"""The key management service: rotations with a value that the caller brings, and their manifests.

It stands on the adapters, the audit log and the manifests, and works without any of the clouds::

    kms = KeyManagementService(cloud_kms_provider="aws")
    kms.record_rotation(key_material=value, key_id="daena-key")
    kms.get_key_from_cloud("daena-key")
"""

from daena_kms.kms.attestor import RotationRecord
from daena_kms.kms.manifests import (
    ChainReport,
    Manifest,
    create_manifest,
    verify_chain,
    verify_manifest,
)
from daena_kms.kms.service import KeyManagementService

__all__ = [
    "ChainReport",
    "KeyManagementService",
    "Manifest",
    "RotationRecord",
    "create_manifest",
    "verify_chain",
    "verify_manifest",
]
