"""Manifests: a signed hash chain that attests which value of which key was made current, by whom.

Beside an audit log they are in the log's own place, and the log's row of each rotation names the
manifest of it and its hash; without one they are files in a folder.
"""

from daena_kms.kms.manifests.chain import Chain
from daena_kms.kms.manifests.create import Rotation, attest, create_manifest
from daena_kms.kms.manifests.format import Manifest
from daena_kms.kms.manifests.logged import compare_with_log
from daena_kms.kms.manifests.old import read_old
from daena_kms.kms.manifests.signing import Signer, load_signer
from daena_kms.kms.manifests.verify import ChainReport, verify_chain, verify_manifest

__all__ = [
    "Chain",
    "ChainReport",
    "Manifest",
    "Rotation",
    "Signer",
    "attest",
    "compare_with_log",
    "create_manifest",
    "load_signer",
    "read_old",
    "verify_chain",
    "verify_manifest",
]
