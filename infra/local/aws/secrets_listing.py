"""ListSecrets and ListSecretVersionIds: filters, pages, and answers from an old snapshot."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from infra.local.aws.protocol import AwsError, Json, Params, epoch
from infra.local.aws.secrets_state import Secret

MAX_PAGE = 100
DEFAULT_PAGE = 100


class Entry(NamedTuple):
    """One secret of a listing."""

    sequence: int
    #: The end of its recovery window, if it is deleted.
    ends: datetime | None
    shown: Json


class Listing:
    """Answers ListSecrets, live or from the snapshot taken by ``freeze``.

    "All Secrets Manager operations are eventually consistent. ListSecrets might not reflect
    changes from the last five minutes" (API_ListSecrets).
    """

    def __init__(self) -> None:
        self._frozen: list[Entry] | None = None

    def freeze(self, secrets: Iterable[Secret]) -> None:
        """Answer from these secrets as they are now, until ``unfreeze``."""
        self._frozen = [_entry(secret) for secret in secrets]

    def unfreeze(self) -> None:
        """Answer live again."""
        self._frozen = None

    def page(self, secrets: Mapping[str, Secret], params: Params, now: datetime) -> Json:
        """Return one page, in order of creation.

        A page is filtered after it was cut, so it may hold nothing while there is more: NextToken
        "can occur even when the response includes no values at all, such as when you ask for a
        filtered view of a long list" (API_ListSecrets). How the service cuts pages it does not say.
        """
        size = params.number("MaxResults", 1, MAX_PAGE) or DEFAULT_PAGE
        wanted = [_filter(item) for item in params.objects("Filters")]
        planned = params.flag("IncludePlannedDeletion")
        # A secret whose window is over is gone; it is not looked at.
        there = [
            e for e in self._from(secrets, _position(params)) if e.ends is None or e.ends > now
        ]
        found = [
            entry.shown
            for entry in there[:size]
            # One that is deleted shows only when asked for.
            if (planned or entry.ends is None) and all(matches(entry.shown) for matches in wanted)
        ]
        answer: Json = {"SecretList": found}
        if len(there) > size:
            answer["NextToken"] = f"after:{there[size - 1].sequence}"
        return answer

    def _from(self, secrets: Mapping[str, Secret], after: int) -> Iterable[Entry]:
        if self._frozen is not None:
            start = bisect_right(self._frozen, after, key=lambda entry: entry.sequence)
            return self._frozen[start:]
        live = list(secrets.values())
        start = bisect_right(live, after, key=lambda secret: secret.sequence)
        return (_entry(secret) for secret in live[start:])


def _entry(secret: Secret) -> Entry:
    return Entry(secret.sequence, secret.delete_at, secret.as_json("SecretVersionsToStages"))


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
                **_day("LastAccessedDate", secret.last_read(version.version_id)),
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


def _day(member: str, day: float | None) -> Json:
    """Return the member, or nothing where there is no date."""
    return {} if day is None else {member: day}


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
    "Prefix match, not case-sensitive" (API_Filter), of words: each word of the value begins a word
    of the description (localstack, test_list_secrets_filtering; moto, list_secrets with words).
    """
    key, values = item.required("Key"), item.texts("Values") or []
    if not values:
        raise AwsError("InvalidParameterException", "A filter must have values.")
    if key not in _ATTRIBUTES:
        raise AwsError("InvalidParameterException", f"The filter {key} is not modelled.")

    def starts(attribute: str, prefix: str) -> bool:
        if key == "description":
            words = attribute.lower().split()
            return all(any(w.startswith(p) for w in words) for p in prefix.lower().split())
        return attribute.startswith(prefix)

    def matches(entry: Json) -> bool:
        attributes = _ATTRIBUTES[key](entry)
        return any(
            any(starts(a, value.removeprefix("!")) for a in attributes) != value.startswith("!")
            for value in values
        )

    return matches


def _tags(entry: Json, member: str) -> list[str]:
    tags = entry.get("Tags")
    return [str(tag[member]) for tag in tags] if isinstance(tags, list) else []


_ATTRIBUTES: dict[str, Callable[[Json], list[str]]] = {
    "name": lambda entry: [str(entry["Name"])],
    "description": lambda entry: [str(entry.get("Description", ""))],
    "owning-service": lambda entry: [str(entry.get("OwningService", ""))],
    "tag-key": lambda entry: _tags(entry, "Key"),
    "tag-value": lambda entry: _tags(entry, "Value"),
}
