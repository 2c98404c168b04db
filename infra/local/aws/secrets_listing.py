"""ListSecrets and ListSecretVersionIds: filters, pages, and answers from an old snapshot."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from infra.local.aws.protocol import AwsError, Json, Params, epoch
from infra.local.aws.secrets_state import Secret

MAX_PAGE = 100
DEFAULT_PAGE = 100


class Listing:
    """Answers ListSecrets, live or from the snapshot taken by ``freeze``.

    "All Secrets Manager operations are eventually consistent. ListSecrets might not reflect
    changes from the last five minutes" (API_ListSecrets).
    """

    def __init__(self) -> None:
        self._frozen: list[tuple[int, Json]] | None = None

    def freeze(self, secrets: Iterable[Secret]) -> None:
        """Answer from these secrets as they are now, until ``unfreeze``."""
        self._frozen = [(s.sequence, s.as_json("SecretVersionsToStages")) for s in secrets]

    def unfreeze(self) -> None:
        """Answer live again."""
        self._frozen = None

    def page(self, secrets: Mapping[str, Secret], params: Params, now: datetime) -> Json:
        """Return one page, in order of creation."""
        size = params.number("MaxResults", 1, MAX_PAGE) or DEFAULT_PAGE
        after = _position(params)
        wanted = [_filter(item) for item in params.objects("Filters")]
        planned = params.flag("IncludePlannedDeletion")
        found: list[tuple[int, Json]] = []
        for sequence, entry in self._from(secrets, after):
            deleted = entry.get("DeletedDate")
            # One whose recovery window is over is gone; one inside it shows only when asked for.
            gone = isinstance(deleted, float) and (not planned or deleted <= epoch(now))
            if not gone and all(matches(entry) for matches in wanted):
                found.append((sequence, entry))
            if len(found) > size:
                break
        answer: Json = {"SecretList": [entry for _, entry in found[:size]]}
        if len(found) > size:
            answer["NextToken"] = f"after:{found[size - 1][0]}"
        return answer

    def _from(self, secrets: Mapping[str, Secret], after: int) -> Iterable[tuple[int, Json]]:
        if self._frozen is not None:
            start = bisect_right(self._frozen, after, key=lambda item: item[0])
            return iter(self._frozen[start:])
        live = list(secrets.values())
        start = bisect_right(live, after, key=lambda secret: secret.sequence)
        return ((s.sequence, s.as_json("SecretVersionsToStages")) for s in live[start:])


def list_versions(secret: Secret, params: Params) -> Json:
    """Return one page of a secret's versions, oldest first."""
    size = params.number("MaxResults", 1, MAX_PAGE) or DEFAULT_PAGE
    start = _position(params)
    stages = secret.stages()
    deprecated = params.flag("IncludeDeprecated")
    shown = [v for v in secret.versions.values() if deprecated or v.version_id in stages]
    answer: Json = {
        "ARN": secret.arn,
        "Name": secret.name,
        "Versions": [
            {
                "VersionId": version.version_id,
                "CreatedDate": epoch(version.created),
                "KmsKeyIds": [version.kms_key_id or "DefaultEncryptionKey"],
                **(
                    {"VersionStages": stages[version.version_id]}
                    if version.version_id in stages
                    else {}
                ),
            }
            for version in shown[start : start + size]
        ],
    }
    if len(shown) > start + size:
        answer["NextToken"] = f"after:{start + size}"
    return answer


def _position(params: Params) -> int:
    token = params.text("NextToken", 1, 4096)
    if token is None:
        return 0
    start = token.removeprefix("after:")
    if not start.isdecimal():
        raise AwsError("InvalidNextTokenException", "The NextToken value is invalid.")
    return int(start)


def _filter(item: Params) -> Callable[[Json], bool]:
    """Return the test of one filter: any of its values is a prefix; ``!`` before one negates it.

    name, tag-key, tag-value and owning-service: "Prefix match, case-sensitive"; description:
    "Prefix match, not case-sensitive" (API_Filter).
    """
    key, values = item.required("Key"), item.texts("Values") or []
    if not values:
        raise AwsError("InvalidParameterException", "A filter must have values.")
    if key not in _ATTRIBUTES:
        raise AwsError("InvalidParameterException", f"The filter {key} is not modelled.")

    def starts(attribute: str, prefix: str) -> bool:
        if key == "description":
            attribute, prefix = attribute.lower(), prefix.lower()
        return attribute.startswith(prefix)

    def matches(entry: Json) -> bool:
        attributes = _ATTRIBUTES[key](entry)
        return any(
            any(starts(a, value.removeprefix("!")) for a in attributes) != value.startswith("!")
            for value in values
        )

    return matches


def _tags(entry: Json, member: str) -> list[str]:
    tags = entry["Tags"]
    return [str(tag[member]) for tag in tags] if isinstance(tags, list) else []


_ATTRIBUTES: dict[str, Callable[[Json], list[str]]] = {
    "name": lambda entry: [str(entry["Name"])],
    "description": lambda entry: [str(entry.get("Description", ""))],
    "owning-service": lambda entry: [str(entry.get("OwningService", ""))],
    "tag-key": lambda entry: _tags(entry, "Key"),
    "tag-value": lambda entry: _tags(entry, "Value"),
}
