"""What an answer of AWS must hold: the members that its API reference promises.

botocore reads a body that is no JSON as an answer without members, and members of another type as
they come. So a proxy's page with status 200 would count as a change that was made, or as a
resource policy that is empty. An answer that lacks something tells nobody whether the call took
effect: it is an error like an answer that was lost.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html
https://docs.aws.amazon.com/kms/latest/APIReference/API_Operations.html
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from daena_kms.errors import StoreUnavailable

type _Members = Mapping[str, Any]
#: Says whether an answer fits its request.
type _Rule = Callable[[_Members, _Members], bool]


def check_answer(operation: str, asked: _Members, answer: _Members, key_id: str | None) -> None:
    """Raise unless an answer is one to this request.

    Args:
        operation: The operation, as a client of botocore names it. One that is not known here is
            not checked.
        asked: The arguments of the call.
        answer: What botocore made of the answer.
        key_id: The key, if the call was about one.

    Raises:
        StoreUnavailable: The answer does not fit, so nobody knows whether the call took effect.
    """
    rules = _RULES.get(operation, ())
    try:
        fits = all(rule(asked, answer) for rule in rules)
    except (AttributeError, TypeError):  # a member that should be a list, or an object
        fits = False
    if not fits:
        raise no_answer(operation, key_id)


def check_listed(entry: _Members) -> None:
    """Raise unless an entry of ``ListSecrets`` holds what a key is made of.

    Those of others are not looked at: a strange one must not hide our keys.
    """
    if not (_date("CreatedDate")({}, entry) and _labels("SecretVersionsToStages")({}, entry)):
        raise no_answer("list_secrets", entry.get("Name"))


def no_answer(operation: str, key_id: str | None) -> StoreUnavailable:
    """Return the error for an answer that AWS can't have given."""
    msg = f"the answer to {operation} is not one that AWS gives, so nobody knows what was done"
    todo = "Look for a proxy in between; the next run looks at the key and tries again"
    return StoreUnavailable(msg, key_id=key_id, todo=todo)


def proves_itself(answer: _Members) -> bool:
    """Return whether an answer without members shows that it is AWS's own.

    ``TagResource`` and ``UntagResource`` answer with an empty body. So does a proxy, but without
    the request's id, which every answer of the service has.
    """
    metadata = answer.get("ResponseMetadata") or {}
    return bool(metadata.get("RequestId"))


def _text(name: str) -> _Rule:
    return lambda _asked, answer: isinstance(answer.get(name), str) and answer[name] != ""


def _date(name: str) -> _Rule:
    return lambda _asked, answer: isinstance(answer.get(name), datetime)


def _bytes(name: str) -> _Rule:
    return lambda _asked, answer: isinstance(answer.get(name), bytes) and answer[name] != b""


def _same(name: str, argument: str) -> _Rule:
    """The answer names what was asked for, if the request did."""
    return lambda asked, answer: argument not in asked or answer.get(name) == asked[argument]


def _the_secret(asked: _Members, answer: _Members) -> bool:
    return asked.get("SecretId") in {answer.get("Name"), answer.get("ARN")}


def _one_value(_asked: _Members, answer: _Members) -> bool:
    text, binary = answer.get("SecretString"), answer.get("SecretBinary")
    if text is None:
        return isinstance(binary, bytes)
    return isinstance(text, str) and text != "" and binary is None


def _labels(name: str) -> _Rule:
    """A member that may be missing: the labels of each version that has some."""

    def holds(_asked: _Members, answer: _Members) -> bool:
        versions = answer.get(name) or {}
        return all(_words(labels) for labels in versions.values())

    return holds


def _words(labels: object) -> bool:
    return isinstance(labels, list) and all(isinstance(label, str) for label in labels)


def _tags(_asked: _Members, answer: _Members) -> bool:
    tags = answer.get("Tags") or []
    return all(isinstance(tag.get("Key"), str) for tag in tags)


def _pairs(*members: tuple[str, type]) -> Callable[[_Members], bool]:
    return lambda entry: all(isinstance(entry.get(name), kind) for name, kind in members)


def _each(name: str, fits: Callable[[_Members], bool]) -> _Rule:
    """A list that must be there, if only empty, and what each of its entries must hold."""

    def holds(_asked: _Members, answer: _Members) -> bool:
        entries = answer.get(name)
        return isinstance(entries, list) and all(map(fits, entries))

    return holds


def _is_entry(entry: _Members) -> bool:
    return isinstance(entry.get("Name"), str) and _tags({}, entry)


def _length(asked: _Members, answer: _Members) -> bool:
    found = len(answer["Plaintext"])
    return bool(asked.get("NumberOfBytes", found) == found)


def _is_metadata(_asked: _Members, answer: _Members) -> bool:
    described = answer.get("KeyMetadata") or {}
    return _pairs(("KeyId", str), ("Arn", str), ("KeyState", str))(described)


def _is_status(_asked: _Members, answer: _Members) -> bool:
    return isinstance(answer.get("KeyRotationEnabled"), bool)


_NAMED = (_text("ARN"), _text("Name"), _the_secret)
_RULES: Mapping[str, tuple[_Rule, ...]] = {
    "create_secret": (_text("ARN"), _same("Name", "Name"), _text("VersionId")),
    "put_secret_value": (*_NAMED, _text("VersionId"), _same("VersionId", "ClientRequestToken")),
    "update_secret_version_stage": _NAMED,
    "get_secret_value": (*_NAMED, _text("VersionId"), _same("VersionId", "VersionId"), _one_value),
    "describe_secret": (*_NAMED, _date("CreatedDate"), _labels("VersionIdsToStages"), _tags),
    "list_secrets": (_each("SecretList", _is_entry),),
    "list_secret_version_ids": (
        *_NAMED,
        _each("Versions", _pairs(("VersionId", str), ("CreatedDate", datetime))),
    ),
    "delete_secret": (*_NAMED, _date("DeletionDate")),
    "restore_secret": _NAMED,
    "get_resource_policy": _NAMED,
    "put_resource_policy": _NAMED,
    "generate_random": (_bytes("Plaintext"), _length),
    "generate_data_key": (
        *(_bytes("Plaintext"), _length),
        *(_bytes("CiphertextBlob"), _text("KeyId")),
    ),
    "describe_key": (_is_metadata,),
    "get_key_rotation_status": (_is_status,),
    "get_public_key": (_text("KeyId"), _bytes("PublicKey"), _text("KeySpec"), _text("KeyUsage")),
    "sign": (_text("KeyId"), _bytes("Signature"), _same("SigningAlgorithm", "SigningAlgorithm")),
    "get_caller_identity": (_text("Arn"),),
}
