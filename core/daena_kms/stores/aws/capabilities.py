"""What Secrets Manager can do, in words for people."""

from daena_kms.rules.model import Capabilities, Revoking
from daena_kms.stores.aws.labels import (
    MAX_LABELS,
)

RECOVERY_DAYS = 30
# Labels that no older version can have: AWSCURRENT, AWSPREVIOUS, AWSPENDING and one in reserve.
_OWN_LABELS = 4

CAN = Capabilities(
    retired_readable="by its version id, for anybody who may read the secret",
    destroys_version=False,
    destroy_means=(
        "its label is removed; it stays readable by its id, and AWS deletes versions without a "
        "label only while a secret has more than 100 versions"
    ),
    restores_key=True,
    delete_means=f"kept for {RECOVERY_DAYS} days",
    revoking=Revoking(
        means="AWSPREVIOUS is removed from it, and it is labelled daena-retired-…",
        readable="anybody who may read the secret, by its version id or that label",
        breaks="reading AWSPREVIOUS",
        undo=(
            "read it by its version id, or make its value current again with "
            "daena-kms rollback KEY --version VERSION"
        ),
    ),
    max_versions=MAX_LABELS - _OWN_LABELS,
    max_keep=MAX_LABELS - _OWN_LABELS,
)

#: The same where the operator lets us write the secret's resource policy.
BLOCKED = Revoking(
    means=(
        "the secret's resource policy denies reading it by its version id and by our labels, "
        "AWSPREVIOUS is removed from it, and it is labelled daena-retired-…"
    ),
    readable=(
        "anybody who reads it by a label that somebody else has put on it, and anybody who may "
        "change the secret's resource policy"
    ),
    breaks="reading AWSPREVIOUS, and reading it by its id once AWS applies the policy",
    undo=(
        "remove its id and label from the statements DaenaCompromisedIds and "
        "DaenaCompromisedLabels with aws secretsmanager put-resource-policy; "
        "then read it by its id"
    ),
)
