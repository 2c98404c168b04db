"""Claims: the right to set a secret's next version, where the vault can't decide a race.

Before a rotation sets a version it creates an object, only if absent, that is named for the key
and for the id of the version it starts from: ``<vault>/<key>/<version id>/<attempt>``. A rotation
that finds the object there has lost, unless the claim was given back or has expired. Then it
creates the next attempt, which again only one rotation can do.

Anybody who may add to the container may create objects of these names, with any content and any
number. So a claim lasts from its creation on by the container's own clock, whatever stands in it
and whatever our clock says, and the next attempt has the first number that is free.
"""

import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from daena_kms.errors import ConfigError, RotationConflict
from daena_kms.objects.base import Objects
from daena_kms.rules.durations import format_time, parse_time
from daena_kms.rules.model import PROMOTION_BOUND

#: How long a claim lasts; after that another rotation may take over. Longer than a function may
#: run, including its set and the SDK's time for it.
CLAIM_LIFETIME = PROMOTION_BOUND
#: No set begins after that. The difference leaves time for a set under way and for clocks that
#: differ.
SET_BY = timedelta(minutes=9)
_SKEW = timedelta(minutes=5)
_SECOND = timedelta(seconds=1)
_FREE = "free"
_ATTEMPT = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
#: The objects of one version that are looked at: a page of Blob Storage. Rotations make a few.
_MOST = 5_000
#: More than any claim of ours has.
_MAX_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to set one version after one other version, until ``until``."""

    prefix: str
    attempt: int
    until: datetime

    @property
    def taken_over(self) -> bool:
        """Whether there was an earlier claim on the version after the same one."""
        return self.attempt > 0


class Claims:
    """The claims on one vault's keys, in a container of their own."""

    def __init__(self, objects: Objects, vault: str) -> None:
        self._objects = objects
        self._vault = vault

    def take(self, key_id: str, base_id: str, now: datetime) -> Claim:
        """Return the claim on the version after the one with the id ``base_id``.

        Raises:
            ConfigError: More objects are in the way than rotations make.
            RotationConflict: Another rotation has the claim.
            StoreUnavailable: The container can't be reached.
        """
        prefix = f"{self._vault}/{key_id}/{base_id}/"
        mine = {
            "claim": secrets.token_hex(16),
            "from": format_time(now),
            "until": format_time(now + CLAIM_LIFETIME),
        }
        if self._put(f"{prefix}0", mine):
            return Claim(prefix, 0, now + CLAIM_LIFETIME)
        look = self._objects.look(prefix, _MOST)
        created = {e.name.removeprefix(prefix): e.modified for e in look.entries}
        if not look.whole:
            raise _crowded(f"{self._objects.url}/{prefix}", key_id)
        for attempt, since in created.items():
            if _ATTEMPT.fullmatch(attempt) and f"{attempt}.{_FREE}" not in created:
                until = self._until(f"{prefix}{attempt}", since, look.at, now)
                if (look.at or now) < until:
                    raise _conflict(key_id, until)
        free = next(n for n in range(_MOST + 1) if str(n) not in created)
        if not self._put(f"{prefix}{free}", mine):
            raise _conflict(key_id, now + CLAIM_LIFETIME)
        return Claim(prefix, free, now + CLAIM_LIFETIME)

    def probe(self) -> None:
        """Raise if the container can't be listed."""
        self._objects.children(f"{self._vault}/")

    def give_back(self, claim: Claim) -> None:
        """Let another rotation begin at once: nothing of this one can take effect any more."""
        self._put(f"{claim.prefix}{claim.attempt}.{_FREE}", {})

    def _put(self, name: str, content: dict[str, str]) -> bool:
        """Create an object, and return whether it is ours."""
        data = json.dumps(content, sort_keys=True).encode()
        return self._objects.create(name, data, _MAX_BYTES) == data

    def _until(self, name: str, since: datetime, there: datetime | None, now: datetime) -> datetime:
        """Return when a claim expires.

        What it says itself counts within the second that the container's date leaves open. In a
        place that does not say its time, it counts as far as a claim may last by our clock.

        Args:
            name: The claim.
            since: When it was created, by the container's clock.
            there: The time by that clock, if the container says it.
            now: The time by ours.
        """
        until = since + CLAIM_LIFETIME
        if there is not None and there >= until + _SECOND:
            return until
        try:
            content = json.loads(self._objects.get_up_to(name, _MAX_BYTES) or b"")
            said = parse_time(content["until"], "until")
        except (ValueError, KeyError, TypeError, RecursionError, ConfigError):
            return until  # no rotation wrote it
        latest = until + _SECOND if there is not None else now + CLAIM_LIFETIME + _SKEW
        return max(until, said) if said < latest else until


def _crowded(place: str, key_id: str) -> ConfigError:
    msg = f"more than {_MOST:,} objects are in the way of its next claim, in {place}"
    todo = "Check who writes to the claims' container; then delete those objects"
    return ConfigError(msg, key_id=key_id, todo=todo)


def _conflict(key_id: str, until: datetime) -> RotationConflict:
    msg = f"another rotation has claimed it, until {format_time(until)} at the latest"
    todo = "Wait: the claim expires by itself, and the next run after that takes over"
    return RotationConflict(msg, key_id=key_id, todo=todo, undecided=True)
