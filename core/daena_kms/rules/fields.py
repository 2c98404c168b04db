"""The fields of a policy as people set and see them: their names, their tags, where they come from.

A field has the name of its tag without ``daena.`` on the command line (``rotate-after``), and with
underscores in JSON and in Python (``rotate_after``). Hold and release are not fields of a policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import format_duration, format_time
from daena_kms.rules.model import Capabilities
from daena_kms.rules.policy import (
    DESTROY_AFTER,
    FIRST_DUE,
    GRACE,
    KEEP,
    PREFIX,
    ROTATE_AFTER,
    SPEC,
    Defaults,
    Policy,
    check_tag,
    variable_of,
)

#: By the name of the field, its tag.
FIELDS: Mapping[str, str] = {
    "spec": SPEC,
    "rotate_after": ROTATE_AFTER,
    "grace": GRACE,
    "destroy_after": DESTROY_AFTER,
    "keep": KEEP,
    "first_due": FIRST_DUE,
}
#: The fields that a deployment's variables set where a key has no tag.
_IN_ENVIRONMENT = {"rotate_after", "grace", "destroy_after"}
TAG, SETTING, DEFAULT = "tag", "setting", "default"


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One field of a key's policy, and where its value comes from."""

    name: str
    #: As a tag holds it; ``None`` for a ``first_due`` that is not set.
    value: str | None
    #: ``tag``, ``setting`` (the deployment's) or ``default`` (built in).
    source: str
    #: The tag or the variable that sets it; ``None`` for a default.
    set_by: str | None


def policy_record(policy: Policy) -> dict[str, str]:
    """Return a policy as it stands in the audit log: every field in force but the spec."""
    record = {
        "rotate_after": format_duration(policy.rotate_after),
        "grace": format_duration(policy.grace),
        "destroy_after": format_duration(policy.destroy_after),
        "keep": str(policy.keep),
    }
    if policy.first_due is not None:
        record["first_due"] = format_time(policy.first_due)
    return record


def fields_of(policy: Policy, tags: Mapping[str, str], defaults: Defaults) -> list[FieldValue]:
    """Return each field of a key's policy with its source.

    Args:
        policy: The policy that ``tags`` and ``defaults`` make.
        tags: The key's tags.
        defaults: The deployment's.
    """
    values: dict[str, str | None] = {"spec": policy.spec.text, **policy_record(policy)}
    found = []
    for name, tag in FIELDS.items():
        source: tuple[str, str | None] = DEFAULT, None
        if tag in tags:
            source = TAG, tag
        elif _is_setting(name, tag, policy, defaults):
            source = SETTING, variable_of(tag)
        found.append(FieldValue(name, values.get(name), *source))
    return found


def _is_setting(name: str, tag: str, policy: Policy, defaults: Defaults) -> bool:
    """Whether a field without a tag has its value from the deployment's setting."""
    if name not in _IN_ENVIRONMENT or (name == "grace" and policy.spec.protects_data):
        return False
    if name == "destroy_after" and policy.grace is None:
        return False  # what is never retired is never destroyed, whatever the setting says
    changed = getattr(defaults, name) != getattr(Defaults(), name)
    return changed or variable_of(tag) in defaults.given


def tags_of(
    changes: Mapping[str, object], defaults: Defaults, can: Capabilities
) -> dict[str, str | None]:
    """Return the tags that some changes of a policy set; ``None`` removes one.

    Each is checked by itself, before anything is known of the key.

    Args:
        changes: By the name of the field, its new value as text (``keep`` may be a whole number),
            or ``None`` to remove its tag.
        defaults: The deployment's.
        can: What the store can do.

    Raises:
        ConfigError: There is no change, a name is no field, or a value is refused.
    """
    names = ", ".join(FIELDS)
    if not changes:
        raise ConfigError("no change of the policy was given", todo=f"Give one of {names}")
    tags: dict[str, str | None] = {}
    for name, value in changes.items():
        if name not in FIELDS:
            msg = f"{str(name)[:40]!r} is not a field of a policy"
            raise ConfigError(msg, todo=f"Use {names}")
        tag = FIELDS[name]
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text is None and tag != SPEC:
            tags[tag] = None
            continue
        if text is None:
            msg = f"{tag} can't be removed: every key has a spec"
            raise ConfigError(msg, todo="Set another spec, or leave it as it is")
        if not isinstance(text, str) or not text.isprintable():
            msg = f"{tag} is not printable text"
            raise ConfigError(msg, todo="Pass text, or None to remove a tag other than the spec")
        check_tag(tag, text, defaults, can)
        tags[tag] = text
    return tags


def named(name: str) -> str:
    """Return a field's name as people write it: ``rotate-after``."""
    return FIELDS[name].removeprefix(PREFIX)


def field_named(text: str) -> str:
    """Return the field that people call ``text``, with hyphens or underscores.

    Raises:
        ConfigError: There is no such field.
    """
    name = text.replace("-", "_")
    if name not in FIELDS:
        msg = f"{text[:40]!r} is not a field of a policy"
        raise ConfigError(msg, todo=f"Use {', '.join(map(named, FIELDS))}")
    return name
