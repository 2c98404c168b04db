"""Who may do what: a small policy over the callers that the platform has verified.

``DAENA_KMS_ACCESS`` holds it as JSON, a list of rules::

    [{"who": "arn:aws:sts::*:assumed-role/oncall/*", "may": ["read", "rotate"], "keys": "pay-*"},
     {"who": ["audit@example.com"], "may": ["read", "audit"]}]

``*`` in ``who`` and ``keys`` stands for any text; ``keys`` is ``*`` where it is left out. What no
rule allows is denied. Without the setting, whoever the platform lets through may do everything.
"""

import json
import re
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


class Deed(StrEnum):
    """What a rule may allow."""

    #: Keys, their versions and the plan; never values.
    READ = "read"
    ROTATE = "rotate"
    #: A rotation that retires the old version at once.
    COMPROMISE = "compromise"
    ROLLBACK = "rollback"
    #: Hold and release.
    HOLD = "hold"
    #: A run over all keys: needs a rule for all keys.
    RUN = "run"
    #: The audit log; its verification needs a rule for all keys.
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: callers, deeds, keys."""

    who: tuple[re.Pattern[str], ...]
    may: frozenset[Deed]
    keys: tuple[re.Pattern[str], ...]
    all_keys: bool

    def allows(self, principal: str, deed: Deed, key_id: str | None) -> bool:
        """Whether this rule allows it; ``None`` asks for all keys."""
        return (
            deed in self.may
            and any(who.fullmatch(principal) for who in self.who)
            and (self.all_keys or any(key_id and keys.fullmatch(key_id) for keys in self.keys))
        )


@dataclass(frozen=True, slots=True)
class Access:
    """The policy; ``None``: everybody whom the platform has verified may do everything."""

    rules: tuple[Rule, ...] | None

    @classmethod
    def load(cls, settings: Settings) -> "Access":
        """Return the policy that is set. Raises :class:`ConfigError` for one that is malformed."""
        text = settings.get(VARIABLE)
        if text is None:
            return cls(None)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise ConfigError(f"{VARIABLE} is no JSON", todo=_FORM) from None
        if not isinstance(found, list):
            raise ConfigError(f"{VARIABLE} is no list", todo=_FORM)
        return cls(tuple(_rule(rule, number) for number, rule in enumerate(found, 1)))

    def allows(self, principal: str, deed: Deed, key_id: str | None = None) -> bool:
        """Whether ``principal`` may do this to the key, or to all keys where none is named."""
        if self.rules is None:
            return True
        return any(rule.allows(principal, deed, key_id) for rule in self.rules)

    def touches(self, principal: str, deed: Deed) -> bool:
        """Whether ``principal`` may do this to any key at all."""
        if self.rules is None:
            return True
        return any(
            deed in rule.may and any(who.fullmatch(principal) for who in rule.who)
            for rule in self.rules
        )


def _rule(rule: object, number: int) -> Rule:
    if not isinstance(rule, dict) or not {"who", "may"} <= rule.keys() <= {"who", "may", "keys"}:
        msg = f"rule {number} of {VARIABLE} is no object of who, may and keys"
        raise ConfigError(msg, todo=_FORM)
    who, may, keys = (_texts(rule, name, number) for name in ("who", "may", "keys"))
    unknown = [deed for deed in may if deed not in {*Deed, "*"}]
    if unknown:
        msg = f"rule {number} of {VARIABLE} allows {unknown[0][:40]!r}"
        raise ConfigError(msg, todo=f"Use {', '.join(Deed)}, or *")
    deeds = frozenset(Deed if "*" in may else map(Deed, may))
    return Rule(_patterns(who), deeds, _patterns(keys), all_keys="*" in keys)


def _texts(rule: dict[str, Any], name: str, number: int) -> list[str]:
    given = rule.get(name, "*")
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list) or not found or not all(isinstance(t, str) and t for t in found):
        msg = f"{name} in rule {number} of {VARIABLE} is neither text nor a list of texts"
        raise ConfigError(msg, todo=_FORM)
    return found


def _patterns(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL) for text in texts
    )
