"""A secret, as the answers of Secrets Manager show it, as a key. No calls."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.names import parse_version_id
from daena_kms.rules.policy import PREFIX
from daena_kms.stores.aws.labels import Labels
from daena_kms.stores.aws.room import Room

_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_ACCOUNT = re.compile(r"arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]*:([0-9]{12}):", re.ASCII)


def labels_of(key: Key) -> Labels:
    """Return the labels that a key of this store was made from."""
    if isinstance(key.handle, Labels):
        return key.handle
    msg = "a key must come from describe() or scan() of this store"
    raise TypeError(msg)


def to_key(
    answer: Mapping[str, Any], region: str | None, listed: Mapping[str, datetime] | None = None
) -> Key:
    """Return the key that an entry of ``ListSecrets`` or an answer of ``DescribeSecret`` shows.

    Args:
        answer: The entry, or the answer.
        region: The client's region.
        listed: When each version was made, the unlabelled ones included, where that was looked up.
    """
    stages = answer.get("SecretVersionsToStages") or answer.get("VersionIdsToStages") or {}
    labels = Labels(stages, listed)
    room = Room(labels)
    giving = room.giving()
    created = answer["CreatedDate"].astimezone(UTC)
    changed = answer.get("LastChangedDate", created).astimezone(UTC)
    versions = []
    for version_id in (*sorted(labels.unlabelled, key=labels.made_or_first), *labels.stages):
        parsed = parse_version_id(version_id)
        state = labels.state(version_id)
        exact = labels.made(version_id)
        versions.append(
            Version(
                id=version_id,
                state=state,
                created=exact or changed,
                created_earliest=None if exact or created == changed else created,
                base_mark=parsed.base_mark if parsed is not None else None,
                superseded=(
                    labels.superseded(version_id) if state is VersionState.PREVIOUS else None
                ),
                retired=labels.retired(version_id),
                compromised=bool(labels.marks(version_id)),
                # A version that is current again was not retired for good.
                revoked=bool(labels.marks(version_id)) and state is VersionState.RETIRED,
                unlabelled=version_id in labels.unlabelled,
                gives_way=version_id in giving,
            )
        )
    deleted = answer.get("DeletedDate")
    return Key(
        id=answer["Name"],
        tags={
            t["Key"]: t.get("Value", "")
            for t in answer.get("Tags", ())
            if t["Key"].startswith(PREFIX)
        },
        versions=tuple(versions),
        owner=_owner(answer, region),
        deleted=deleted.astimezone(UTC) if deleted is not None else None,
        room=room.ordinary(),
        reserve=room.reserve(),
        more_kept=room.more_kept(),
        drift=_drift(labels),
        enrolled=labels.enrolled,
        enrolled_by_tag=labels.enrolled_by_tag,
        handle=labels,
    )


def is_partial(key: Key, *, exact: bool = False) -> bool:
    """Whether the labels of a key do not say enough, so that its versions must be listed.

    Args:
        key: The key, as its labels show it.
        exact: Whether every version is wanted that was current, with its time. Otherwise only what
            a rotation needs: where the labels run short, how many versions there are.
    """
    labels = labels_of(key)
    if Room(labels).tight:
        return True
    bounded = key.current is not None and key.current.created_earliest is not None
    return exact and (bounded or not labels.complete)


def with_label(key: Key, version_id: str, label: str) -> Key:
    """Return the key of a look as it is after a version got one more label: its mark."""
    labels = labels_of(key)
    versions = (replace(v, compromised=True) if v.id == version_id else v for v in key.versions)
    return replace(key, versions=tuple(versions), handle=labels.plus(version_id, label))


def _drift(labels: Labels) -> str | None:
    malformed = labels.malformed_mark()
    if malformed is None:
        return None
    return (
        f"its label {malformed[:80]!r} looks like the mark of a compromised version, but is not of "
        "its form, and is ignored: find out who wrote it, and remove it with "
        "aws secretsmanager update-secret-version-stage"
    )


def replicas_in(answer: Mapping[str, Any]) -> list[str]:
    """Return the regions of a secret's replicas, as DescribeSecret shows them."""
    found = [str(each.get("Region", "")) for each in answer.get("ReplicationStatus") or ()]
    return sorted(region for region in found if _REGION.fullmatch(region))


def _owner(answer: Mapping[str, Any], region: str | None) -> str | None:
    if answer.get("OwningService"):
        return f"the AWS service {answer['OwningService']}"
    if answer.get("Type"):
        return f"the partner {answer['Type']} (a managed external secret)"
    if answer.get("RotationEnabled"):
        return "Secrets Manager's own rotation (RotationEnabled)"
    elsewhere = answer.get("CrossAccountPrimary")
    if elsewhere:
        found = _ACCOUNT.search(str(elsewhere))
        account = f"account {found[1]}" if found else "another account"
        return f"it is a replica, and its primary in {account}"
    primary = answer.get("PrimaryRegion")
    if primary and region and primary != region:
        return f"it is a replica, and its primary in {primary}"
    return None
