"""The access policy: which callers may do what to which keys.

The platform verifies the caller; this policy decides what the caller may do.

``DAENA_KMS_ACCESS`` holds it as JSON, a list of rules::

    [{"who": "arn:aws:sts::*:assumed-role/oncall/*", "may": ["read", "rotate"], "keys": "pay-*"},
     {"who": ["audit@example.com"], "may": ["read", "audit"]}]

``*`` in ``who`` and ``keys`` stands for any text; ``keys`` is ``*`` if it is left out. Anything
that no rule allows is denied. Without the setting, anybody whom the platform lets through may do
everything.

A member that occurs twice is refused: of two, one reader sees the first and another the last. A
pattern has at most five ``*`` and 1,000 characters, and is matched in a time that grows with the
name alone, whatever the pattern.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from daena_kms.errors import ConfigError
from daena_kms.settings import Settings

VARIABLE = "DAENA_KMS_ACCESS"
_FORM = (
    'Write a JSON list of rules such as {"who": "jane@example.com", "may": ["rotate"], '
    '"keys": "payments-*"}'
)


#: An ARN, the longest name of a caller, has at most 700 characters.
_MAX_TEXT = 1_000
_MAX_STARS = 5


class Permission(StrEnum):
    """What a rule may allow; the words of ``may``."""

    #: See keys, their versions and the plan; never values.
    READ = "read"
    ROTATE = "rotate"
    #: Rotate a key and retire its old version at once.
    COMPROMISE = "compromise"
    ROLLBACK = "rollback"
    #: Hold and release a key.
    HOLD = "hold"
    #: Change the policy of a key, where the deployment allows that over HTTP.
    POLICY = "policy"
    #: Start a run over all keys; only a rule for all keys allows it.
    RUN = "run"
    #: See the audit log; only a rule for all keys allows verifying it.
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text in which ``*`` stands for any text."""

    #: The texts between the stars, the one before the first and the one after the last included.
    parts: tuple[str, ...]

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` has this form."""
        first, *rest = self.parts
        if not rest:
            return text == first
        *inner, last = rest
        if not (text.startswith(first) and text.endswith(last)):
            return False
        # The leftmost place of each part leaves the most for the next, so none is tried twice.
        at, end = len(first), len(text) - len(last)
        for part in inner:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return at <= end


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: these callers have these permissions on these keys."""

    who: tuple[Pattern, ...]
    may: frozenset[Permission]
    keys: tuple[Pattern, ...]
    all_keys: bool

    def allows(self, principal: str, permission: Permission, key_id: str | None) -> bool:
        """Whether this rule gives the permission on a key; ``None``: on all keys."""
        return (
            permission in self.may
            and any(who.matches(principal) for who in self.who)
            and (self.all_keys or any(key_id and keys.matches(key_id) for keys in self.keys))
        )


@dataclass(frozen=True, slots=True)
class Access:
    """The policy.

    ``rules`` is ``None`` if none is set: every verified caller may do everything. Without a single
    rule nobody may do anything.
    """

    rules: tuple[Rule, ...] | None

    @classmethod
    def load(cls, settings: Settings) -> "Access":
        """Return the policy of the environment. Raises :class:`ConfigError` if it is malformed.

        An empty variable is a policy without a rule: somebody meant to set one.
        """
        text = settings.get(VARIABLE)
        if text is None:
            return cls(() if settings.is_empty(VARIABLE) else None)
        try:
            rules = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise ConfigError(f"{VARIABLE} is not JSON", todo=_FORM) from None
        if not isinstance(rules, list):
            raise ConfigError(f"{VARIABLE} is not a list", todo=_FORM)
        return cls(tuple(_rule(rule, number) for number, rule in enumerate(rules, 1)))

    def allows(self, principal: str, permission: Permission, key_id: str | None = None) -> bool:
        """Whether the caller has a permission on a key; ``None``: on all keys."""
        if self.rules is None:
            return True
        return any(rule.allows(principal, permission, key_id) for rule in self.rules)

    def allows_any(self, principal: str, permission: Permission) -> bool:
        """Whether the caller has a permission on any key at all."""
        if self.rules is None:
            return True
        return any(
            permission in rule.may and any(who.matches(principal) for who in rule.who)
            for rule in self.rules
        )


def _rule(rule: object, number: int) -> Rule:
    if not isinstance(rule, dict) or not {"who", "may"} <= rule.keys() <= {"who", "may", "keys"}:
        msg = f"rule {number} of {VARIABLE} is not an object with who, may and keys"
        raise ConfigError(msg, todo=_FORM)
    who, may, keys = (_texts(rule, name, number) for name in ("who", "may", "keys"))
    unknown = [word for word in may if word not in {*Permission, "*"}]
    if unknown:
        msg = f"rule {number} of {VARIABLE} allows {unknown[0][:40]!r}, which is not a permission"
        raise ConfigError(msg, todo=f"Use {', '.join(Permission)}, or *")
    allowed = frozenset(Permission if "*" in may else map(Permission, may))
    return Rule(
        who=_patterns(who, "who", number),
        may=allowed,
        keys=_patterns(keys, "keys", number),
        all_keys="*" in keys,
    )


def _texts(rule: dict[str, Any], name: str, number: int) -> list[str]:
    given = rule.get(name, "*")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t for t in texts):
        msg = f"{name} in rule {number} of {VARIABLE} is neither a string nor a list of strings"
        raise ConfigError(msg, todo=_FORM)
    return texts


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        todo = "Write each member of a rule once"
        raise ConfigError(f"{VARIABLE} has a member that occurs twice in one object", todo=todo)
    return members


def _patterns(texts: Iterable[str], name: str, number: int) -> tuple[Pattern, ...]:
    patterns = []
    for text in texts:
        if len(text) > _MAX_TEXT or text.count("*") > _MAX_STARS:
            msg = f"a pattern of {name} in rule {number} of {VARIABLE} is too long"
            todo = f"Write at most {_MAX_TEXT:,} characters and {_MAX_STARS} stars"
            raise ConfigError(msg, todo=todo)
        patterns.append(Pattern(tuple(text.split("*"))))
    return tuple(patterns)
