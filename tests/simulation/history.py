"""Histories: what happens to one key, drawn from a seed."""

import random
from dataclasses import dataclass, replace

from tests.simulation.base import PROCESSES
from tests.simulation.calls import Fault

HOUR, DAY = 3600.0, 86400.0
_QUIET = 7
#: How often each is drawn.
WHAT = {
    "run": 8, "rotate": 4, "emergency": 4, "rollback": 3,
    "hold": 1, "release": 1, "delete": 1, "restore": 1,
}  # fmt: skip
FAULTS = {
    Fault.LOST: 3, Fault.ANSWER_LOST: 6, Fault.ERROR: 2, Fault.THROTTLED: 2,
    Fault.KILLED: 2, Fault.KILLED_AFTER: 3, Fault.SLOW: 2,
}  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """A key's policy, in days."""

    spec: str
    rotate: int
    grace: int | None
    destroy: int | None = None

    @property
    def tags(self) -> dict[str, str]:
        """The tags that say so."""
        tags = {"daena.rotate-after": f"{self.rotate}d"}
        if self.grace is not None:
            tags["daena.grace"] = f"{self.grace}d"
        if self.destroy is not None:
            tags["daena.destroy-after"] = f"{self.destroy}d"
        return tags


_POLICIES = (Policy("token", 3, 1), Policy("token", 1, 2), Policy("aes-256", 5, None))


@dataclass(frozen=True)
class Step:
    """One process: when it begins, what it does, how wrong its clock is, and what befalls it."""

    at: float
    what: str
    skew: float = 0.0
    faults: tuple[tuple[int, Fault], ...] = ()


@dataclass(frozen=True)
class Outside:
    """What somebody else does."""

    at: float
    what: str
    choice: int


@dataclass(frozen=True)
class History:
    """What happens to one key."""

    store: str
    seed: int
    policy: Policy
    steps: tuple[Step, ...]
    outside: tuple[Outside, ...] = ()

    @property
    def skewed(self) -> bool:
        """Whether a clock is over an hour behind, with which nothing is promised about times."""
        return any(step.skew < -HOUR for step in self.steps)

    @property
    def end(self) -> float:
        """When the last of it begins."""
        times = [step.at for step in self.steps] + [event.at for event in self.outside]
        return max(times, default=0.0)


def draw(store: str, seed: int, outsiders: tuple[str, ...]) -> History:
    """Draw a history."""
    pick = random.Random(f"{store}-{seed}")  # noqa: S311 - the same each time
    policy = pick.choice(_POLICIES)
    steps: list[Step] = []
    outside: list[Outside] = []
    at = HOUR
    for _ in range(pick.randint(1, 3)):
        at += pick.choice((policy.rotate * DAY, HOUR, 20 * HOUR)) + 60
        for _ in range(pick.randint(1, 4)):
            if len(steps) < PROCESSES - _QUIET - 2:
                steps.append(_step(pick, at))
        if pick.random() < 0.4 and outsiders:
            begin = at + pick.uniform(0, 3)
            outside.append(Outside(begin, pick.choice(outsiders), len(outside)))
    return History(store, seed, policy, tuple(steps), tuple(outside))


def _step(pick: random.Random, at: float) -> Step:
    what = pick.choices(list(WHAT), list(WHAT.values()))[0]
    begin = at + pick.choice((pick.uniform(0, 1), pick.uniform(0, 5), pick.uniform(0, 600)))
    faults: dict[int, Fault] = {}
    if pick.random() < 0.7:
        for _ in range(pick.randint(1, 3)):
            kind = pick.choices(list(FAULTS), list(FAULTS.values()))[0]
            first = pick.randint(1, 22)
            for number in range(first, first + pick.choice((1, 1, 2, 3, 6))):
                faults[number] = kind
    skew = pick.choice((0.0, 0.0, 0.0, 0.0, pick.uniform(-90, 90), pick.uniform(-3e5, 0)))
    return Step(begin, what, skew, tuple(sorted(faults.items())))


def smaller(history: History) -> list[History]:
    """Return the histories that are smaller by one step, outsider or fault."""
    steps, outside = history.steps, history.outside
    found = [replace(history, steps=steps[:n] + steps[n + 1 :]) for n in range(len(steps))]
    found += [replace(history, outside=outside[:n] + outside[n + 1 :]) for n in range(len(outside))]
    for n, step in enumerate(steps):
        less = [step.faults[:f] + step.faults[f + 1 :] for f in range(len(step.faults))]
        changed = [replace(step, faults=faults) for faults in less]
        changed += [replace(step, skew=0.0)] if step.skew else []
        found += [replace(history, steps=(*steps[:n], c, *steps[n + 1 :])) for c in changed]
    return found
