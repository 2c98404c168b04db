"""What the benchmarks need of a cloud: its targets, and simulators with an adapter on them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from daena_kms.cloud_kms import CloudKMSAdapter

from infra.local.faults import Call
from tests.bench.surroundings import surrounded
from tests.worlds.kinds import open_cloud


@dataclass(frozen=True, slots=True)
class Remote:
    """A simulator in a process of its own."""

    #: Where it takes controls.
    url: str
    #: Makes an adapter with these settings beside the simulator's own.
    adapter: Callable[[Mapping[str, str]], CloudKMSAdapter]
    #: Reads one key, which is named, by the SDK alone: the same client for every thread.
    bare: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Quota:
    """What the cloud lets through, and how many keys are enough to see it (all, quick)."""

    per_second: int
    keys: tuple[int, int]
    #: The setting that keeps a run under it from the start, if there is one.
    setting: Mapping[str, str]


class Cloud(ABC):
    """One cloud."""

    #: For people, and as the settings have it.
    name: ClassVar[str]
    provider: ClassVar[str]
    #: The operation that lists, and its keys a page.
    listing: ClassVar[str]
    page: ClassVar[int]
    #: Whether an ideal has the pages one after the other, since each names the next, and not shared
    #: by the workers like other calls. Small pages make the difference.
    pages_in_turn: ClassVar[bool] = False
    #: The operations that one rotation writes with.
    writes: ClassVar[tuple[str, ...]]
    quota: ClassVar[Quota]
    #: Targets: calls for one key on demand, and calls and claims for each of many due keys.
    on_demand: ClassVar[int]
    per_rotation: ClassVar[float]
    #: The same where each rotation follows the retirement of an older version; None: no target.
    with_retirement: ClassVar[float | None] = None
    claims: ClassVar[int | None] = None

    @contextmanager
    def world(self, *, keys: int = 0) -> Iterator[Any]:
        """Give a world where adapter and log are as a function makes them: from the environment.

        It is empty, or of so many keys with some history, of which none is due.
        """
        with open_cloud(self.provider) as world:
            self.fill(world, keys)
            with surrounded(self.settings(world)), pytest.MonkeyPatch.context() as patch:
                world.enter(patch)
                yield world

    def settings(self, world: Any) -> dict[str, str]:
        """Return what leads another process to the same simulator."""
        return {"DAENA_CLOUD_KMS_PROVIDER": self.provider, **world.environment}

    @abstractmethod
    def fill(self, world: Any, count: int) -> None:
        """Put keys into the simulator behind its wire, in the form in which the store has them."""

    @abstractmethod
    def remote(self) -> AbstractContextManager[Remote]:
        """Give a simulator in a process of its own, and the environment that leads to it."""

    def is_claim(self, call: Call) -> bool:
        """Whether a call made the object of a claim."""
        del call
        return False

    @abstractmethod
    def is_record(self, call: Call) -> bool:
        """Whether a call wrote to the audit log."""
