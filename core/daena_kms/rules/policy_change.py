"""One change of one key's policy: what it sets, what was there before, and what became of it. Pure.

The audit log holds a change in both forms: the policies that were in force, which people read, and
the tags, which a later run compares with the key if nobody knows whether the change was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daena_kms.errors import ConfigError, RotationConflict
from daena_kms.rules.fields import FIELDS, named, policy_record
from daena_kms.rules.model import Capabilities, Key
from daena_kms.rules.policy import HOLD, PREFIX, Defaults, Policy, parse_policy

#: How much of another person's tag the log repeats.
_MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A change of a key's policy; one that changes no tag is empty and counts as done."""

    key_id: str
    #: The tags to set, by name; ``None`` removes one. Tags that stay as they are, are not here.
    tags: Mapping[str, str | None]
    #: All tags of the policy, as the key had them when the change was planned.
    before: Mapping[str, str]
    #: The policy before; ``None`` if it was refused, and the key was failing.
    old: Policy | None
    #: The policy after.
    new: Policy

    @property
    def words(self) -> str:
        """What changes, for people: ``grace 7d -> 2d, keep 2 -> 3``."""
        old = {} if self.old is None else _plain(self.old)
        new, before = _plain(self.new), "none" if old else "unknown"
        return ", ".join(
            f"{named(name)} {old.get(name, before)} -> {new.get(name, 'none')}"
            for name, tag in FIELDS.items()
            if tag in self.tags
        )

    def record(self) -> dict[str, Any]:
        """Return the members of the log's intent and outcome that hold the change."""
        old: dict[str, Any] = {}
        if self.old is not None:
            old = {"old_spec": self.old.spec.text, "old_policy": policy_record(self.old)}
        texts = {tag: self.before.get(tag) for tag in self.tags}
        return {
            "tags": dict(self.tags),
            "old_tags": {t: text and text[:_MAX_TEXT] for t, text in texts.items()},
            "message": self.words,
            **old,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain data, for JSON."""
        return {
            "key": self.key_id,
            "changed": sorted(name for name, tag in FIELDS.items() if tag in self.tags),
            "old": None if self.old is None else _plain(self.old),
            "new": _plain(self.new),
        }

    def check_still(self, key: Key) -> None:
        """Check that nobody changed the key's policy since this change was planned.

        Raises:
            RotationConflict: Somebody did, so the log's intent does not hold what is there.
        """
        if _policy_tags(key) != self.before:
            msg = "its policy was changed by somebody else meanwhile"
            todo = "Look at it with policy show, then try again"
            raise RotationConflict(msg, key_id=key.id, todo=todo)


def plan_change(
    key: Key, tags: Mapping[str, str | None], defaults: Defaults, can: Capabilities
) -> PolicyChange:
    """Return the change that gives a key some tags, with the policy before and after it.

    Args:
        key: The key as it is now.
        tags: The tags to set; ``None`` removes one.
        defaults: The policy of a key whose tags say nothing.
        can: What the store can do.

    Raises:
        ConfigError: The store or the deployment refuses the policy that would result.
    """
    merged = {**key.tags, **tags}
    after = {name: text for name, text in merged.items() if text is not None}
    try:
        new = parse_policy(after, defaults, can)
    except ConfigError as error:
        raise ConfigError(error.what, key_id=key.id, todo=error.todo) from error
    try:
        old = parse_policy(key.tags, defaults, can)
    except ConfigError:
        old = None
    changed = {tag: text for tag, text in tags.items() if key.tags.get(tag) != text}
    return PolicyChange(key.id, changed, _policy_tags(key), old, new)


def policy_was_set(action: Mapping[str, Any], key: Key) -> bool:
    """Whether a key has the tags that an action of the log was to set.

    Args:
        action: An intent to change a policy, as anybody may have written it.
        key: An exact look at the key.
    """
    tags = action.get("tags")
    if not isinstance(tags, dict) or not tags:
        return False
    return all(key.tags.get(tag) == text for tag, text in tags.items())


def _policy_tags(key: Key) -> dict[str, str]:
    """Return the key's tags without its hold, which is set and ended apart from the policy."""
    return {t: text for t, text in key.tags.items() if t.startswith(PREFIX) and t != HOLD}


def _plain(policy: Policy) -> dict[str, Any]:
    return {"spec": policy.spec.text, **policy_record(policy)}
