"""What Secrets Manager can do, in words for people."""

from daena_kms.rules.model import Capabilities, Revoking
from daena_kms.stores.aws.state import MAX_LABELS

RECOVERY_DAYS = 30
# Labels that no older version can have: AWSCURRENT, AWSPREVIOUS, AWSPENDING and one in reserve.
_OWN_LABELS = 4

CAN = Capabilities(
    retired_readable="by its version id, for whoever may read the secret",
    destroys_version=False,
    destroy_means="its label is taken off; AWS deletes unlabelled versions in its own time",
    restores_key=True,
    delete_means=f"kept for {RECOVERY_DAYS} days",
    revoking=Revoking(
        means="AWSPREVIOUS is taken off it, and it is labelled daena-retired-…",
        readable="by its version id or that label, for whoever may read the secret",
        breaks="readers of AWSPREVIOUS, who find nothing",
        undo="it reads by its version id, and rollback --version VERSION takes its value",
    ),
    max_versions=MAX_LABELS - _OWN_LABELS,
    max_keep=MAX_LABELS - _OWN_LABELS,
)

#: The same where the operator lets us write the secret's resource policy.
BLOCKED = Revoking(
    means=(
        "the secret's resource policy denies reading it by its version id and by our labels, "
        "AWSPREVIOUS is taken off it, and it is labelled daena-retired-…"
    ),
    readable=(
        "by a label that somebody else has put on it, and for whoever may change the secret's "
        "resource policy"
    ),
    breaks="readers of AWSPREVIOUS and of that version's id, once AWS applies the policy",
    undo=(
        "take its id and label out of the statements DaenaCompromisedIds and "
        "DaenaCompromisedLabels: aws secretsmanager put-resource-policy; then it reads by its id"
    ),
)
