"""What a key's tags ask for: parsed strictly, with defaults by which nothing can be lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import format_duration, format_time, parse_duration, parse_time
from daena_kms.rules.model import Capabilities
from daena_kms.rules.specs import DEFAULT, Spec, parse_spec
from daena_kms.rules.strength import (
    DEFAULT_MIN_BITS,
    MIN_BITS_VARIABLE,
    check_strength,
    read_min_bits,
)

PREFIX = "daena."
MANAGED = "daena.managed"
SPEC = "daena.spec"
ROTATE_AFTER = "daena.rotate-after"
GRACE = "daena.grace"
DESTROY_AFTER = "daena.destroy-after"
KEEP = "daena.keep"
FIRST_DUE = "daena.first-due"
HOLD = "daena.hold"
TAGS = (MANAGED, SPEC, ROTATE_AFTER, GRACE, DESTROY_AFTER, KEEP, FIRST_DUE, HOLD)

NEVER = "never"
MIN_ROTATE_AFTER = timedelta(hours=1)
MIN_GRACE = timedelta(hours=24)
MIN_KEEP = 2
#: Tags alone destroy no version earlier than this after it was superseded.
MIN_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a key without the tag gets. ``grace`` applies only to passwords and tokens.

    A default never retires or destroys what encrypts, signs or authenticates data: such a key
    needs a ``daena.grace`` of its own, because nobody re-encrypts its data for us.

    ``min_bits`` and the time for which a superseded version is kept are bounds, not defaults: they
    hold whatever a key's tags say.
    """

    rotate_after: timedelta = timedelta(days=90)
    grace: timedelta | None = timedelta(days=7)
    destroy_after: timedelta | None = None
    #: No value that is easier to guess is generated; see :mod:`daena_kms.rules.strength`.
    min_bits: int = DEFAULT_MIN_BITS
    #: The variables that the deployment has set, for people who ask where a policy comes from.
    given: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def kept_for(self) -> timedelta:
        """How long a version is kept after it was superseded, at the least.

        Seven days, or the deployment's own ``destroy_after`` if that is shorter.
        """
        own = self.destroy_after
        return MIN_KEPT if own is None else min(own, MIN_KEPT)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Defaults":
        """Return the defaults in ``DAENA_KMS_ROTATE_AFTER``, ``_GRACE`` and ``_DESTROY_AFTER``.

        ``DAENA_KMS_MIN_BITS`` is read, too.

        Raises:
            ConfigError: A variable is malformed; the message names it.
        """

        def read(tag: str, default: timedelta | None) -> timedelta | None:
            text = environ.get(variable_of(tag), "")
            return _parse(tag, text, variable_of(tag)) if text else default

        built_in = cls()
        bits = environ.get(MIN_BITS_VARIABLE, "")
        names = (*map(variable_of, (ROTATE_AFTER, GRACE, DESTROY_AFTER)), MIN_BITS_VARIABLE)
        return cls(
            read(ROTATE_AFTER, None) or built_in.rotate_after,
            read(GRACE, built_in.grace),
            read(DESTROY_AFTER, built_in.destroy_after),
            read_min_bits(bits) if bits else built_in.min_bits,
            frozenset(name for name in names if environ.get(name)),
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """One key's policy. ``grace`` and ``destroy_after`` of ``None`` mean never."""

    spec: Spec
    rotate_after: timedelta
    grace: timedelta | None
    destroy_after: timedelta | None
    keep: int
    first_due: datetime | None
    #: ``True``: on hold until released; a time: on hold until then.
    hold: bool | datetime
    #: No version is destroyed earlier than this after it was superseded.
    kept_for: timedelta = MIN_KEPT

    def held(self, now: datetime) -> bool:
        """Whether the key must not change at ``now``."""
        return self.hold if isinstance(self.hold, bool) else now < self.hold


def variable_of(tag: str) -> str:
    """Return the variable that sets the default of a tag, such as ``DAENA_KMS_GRACE``."""
    return "DAENA_KMS_" + tag.removeprefix(PREFIX).replace("-", "_").upper()


def is_managed(tags: Mapping[str, str]) -> bool:
    """Whether the key is managed: ``daena.managed`` is exactly ``true``.

    Raises:
        ConfigError: It is neither ``true`` nor ``false``. If a misspelt ``True`` were read as
            false, the owner would believe that the key is rotated.
    """
    value = tags.get(MANAGED, "false")
    if value not in {"true", "false"}:
        msg = f"{MANAGED} is {value[:40]!r}"
        raise ConfigError(msg, todo="Write true or false")
    return value == "true"


def parse_policy(tags: Mapping[str, str], defaults: Defaults, can: Capabilities) -> Policy:
    """Return the policy in a key's tags.

    Raises:
        ConfigError: A tag is malformed or unknown, the store can't do what the policy asks, the
            policy would destroy a version inside its grace, or fresh values would have fewer bits
            than the deployment's minimum. Then no part of the policy counts.
    """
    unknown = [t for t in tags if t.startswith(PREFIX) and t not in TAGS]
    if unknown:
        msg = f"{unknown[0][:60]!r} is not a tag of daena-kms"
        raise ConfigError(msg, todo=f"Use {', '.join(TAGS)}")
    spec = _spec(tags.get(SPEC, DEFAULT), defaults)
    rotate_after = _read(tags, ROTATE_AFTER, defaults.rotate_after) or defaults.rotate_after
    grace = _read(tags, GRACE, None if spec.protects_data else defaults.grace)
    destroy_after = _read(tags, DESTROY_AFTER, defaults.destroy_after)
    if grace is None:
        if tags.get(DESTROY_AFTER, NEVER) != NEVER:
            msg = (
                f"{DESTROY_AFTER} is set, but grace is never: "
                "versions would be destroyed inside their grace"
            )
            raise ConfigError(msg, todo=f"Set {GRACE} too, or remove {DESTROY_AFTER}")
        destroy_after = None
    name = DESTROY_AFTER if DESTROY_AFTER in tags else variable_of(DESTROY_AFTER)
    _check_destroys(destroy_after, name, can)
    policy = Policy(
        spec,
        rotate_after,
        grace,
        destroy_after,
        _keep(tags, can),
        parse_time(tags[FIRST_DUE], FIRST_DUE) if FIRST_DUE in tags else None,
        _hold(tags),
        defaults.kept_for,
    )
    _check_room(policy, can)
    return policy


def check_tag(tag: str, text: str, defaults: Defaults, can: Capabilities) -> None:
    """Check one tag of a policy by itself, as it is checked before the key's others are known.

    Raises:
        ConfigError: :func:`parse_policy` would refuse it, whatever the other tags say.
    """
    if tag == SPEC:
        _spec(text, defaults)
    elif tag == KEEP:
        _keep({KEEP: text}, can)
    elif tag == FIRST_DUE:
        parse_time(text, FIRST_DUE)
    elif tag == DESTROY_AFTER:
        _check_destroys(_parse(tag, text, tag), tag, can)
    else:
        _parse(tag, text, tag)


def on_hold(tags: Mapping[str, str], now: datetime) -> bool:
    """Whether the tags put a key on hold at ``now``. A hold that can't be read counts as one."""
    try:
        hold = _hold(tags)
    except ConfigError:
        return True
    return hold if isinstance(hold, bool) else now < hold


def check_hold_end(until: datetime, now: datetime, key_id: str) -> None:
    """Raise :class:`ConfigError` unless a hold that ends at ``until`` still has time to last."""
    if until <= now:
        msg = f"until is {format_time(until)}, which is not in the future"
        raise ConfigError(msg, key_id=key_id, todo="Give a time in the future, or none")


def _spec(text: str, defaults: Defaults) -> Spec:
    spec = parse_spec(text)
    check_strength(spec, defaults.min_bits)
    return spec


def _check_destroys(destroy_after: timedelta | None, name: str, can: Capabilities) -> None:
    if destroy_after is not None and can.destroy_means is None:
        msg = f"{name} is {format_duration(destroy_after)}"
        todo = "This store can't destroy a single version: set it to never, or remove it"
        raise ConfigError(msg, todo=todo)


def _read(tags: Mapping[str, str], tag: str, default: timedelta | None) -> timedelta | None:
    return _parse(tag, tags[tag], tag) if tag in tags else default


def _parse(tag: str, text: str, name: str) -> timedelta | None:
    if text == NEVER and tag != ROTATE_AFTER:
        return None
    value = parse_duration(text, name)
    least = {ROTATE_AFTER: MIN_ROTATE_AFTER, GRACE: MIN_GRACE}.get(tag, timedelta(hours=1))
    if value < least:
        msg = f"{name} is {text}"
        raise ConfigError(msg, todo=f"It must be at least {format_duration(least)}")
    return value


def _keep(tags: Mapping[str, str], can: Capabilities) -> int:
    text = tags.get(KEEP, str(MIN_KEEP))
    value = int(text) if text.isascii() and text.isdigit() and len(text) < len("10000") else 0
    if not MIN_KEEP <= value <= can.max_keep:
        msg = f"{KEEP} is {text[:20]!r}"
        raise ConfigError(
            msg, todo=f"On this store it must be a number from {MIN_KEEP} to {can.max_keep}"
        )
    return value


def _hold(tags: Mapping[str, str]) -> bool | datetime:
    text = tags.get(HOLD, "false")
    if text in {"true", "false"}:
        return text == "true"
    try:
        return parse_time(text, HOLD)
    except ConfigError:
        msg = f"{HOLD} is {text[:40]!r}"
        todo = "Write true, or the time at which the hold ends, such as 2026-11-24T15:50:00Z"
        raise ConfigError(msg, todo=todo) from None


def _check_room(policy: Policy, can: Capabilities) -> None:
    if can.max_versions is None or policy.grace is None:
        return
    often = f"at rotate-after {format_duration(policy.rotate_after)}"
    # Readable at once: one version for each interval that begins in the grace, and the current one.
    readable = -(-policy.grace // policy.rotate_after) + 1
    if readable > can.max_versions:
        msg = (
            f"grace {format_duration(policy.grace)} {often} keeps {readable} versions readable, "
            f"but this store can keep {can.max_versions}"
        )
        raise ConfigError(msg, todo=f"Shorten {GRACE} or lengthen {ROTATE_AFTER}")
    if policy.destroy_after is None or not can.counts_retired:
        return  # without an end there is no such number: a plan warns when little room is left
    kept_for = max(policy.grace + policy.destroy_after, policy.kept_for)
    kept = -(-kept_for // policy.rotate_after) + 1
    if kept > can.max_versions:
        msg = (
            f"grace {format_duration(policy.grace)} and destroy-after "
            f"{format_duration(policy.destroy_after)} {often} keep {kept} versions, "
            f"but this store can keep {can.max_versions}"
        )
        raise ConfigError(msg, todo=f"Shorten {DESTROY_AFTER} or lengthen {ROTATE_AFTER}")
