"""What the benchmarks need of a cloud: its targets, and simulators with an adapter on them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from daena_kms.cloud_kms import CloudKMSAdapter
from daena_kms.objects.base import Objects

from infra.local.faults import Call, CallLog


@dataclass(frozen=True, slots=True)
class World:
    """A simulator in this process, an adapter and a log made as a function makes them."""

    adapter: CloudKMSAdapter
    log: Objects
    calls: CallLog
    #: Moves the simulated time on by some seconds.
    wait: Callable[[float], None]
    #: The settings that lead another process to the same simulator.
    environment: Mapping[str, str]


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
    #: The simulator's services that are the store, the operation that lists, its keys a page.
    services: ClassVar[frozenset[str]]
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
    claims: ClassVar[int | None] = None

    @abstractmethod
    def world(self, *, keys: int = 0) -> AbstractContextManager[World]:
        """Give an empty world, or one of so many keys with some history, of which none is due."""

    @abstractmethod
    def remote(self) -> AbstractContextManager[Remote]:
        """Give a simulator in a process of its own, and the environment that leads to it."""

    def store_calls(self, calls: CallLog) -> list[str]:
        """Return the operations on the store."""
        return [call.operation for call in calls if call.service in self.services]

    def is_claim(self, call: Call) -> bool:
        """Whether a call made the object of a claim."""
        del call
        return False

    @abstractmethod
    def is_record(self, call: Call) -> bool:
        """Whether a call wrote to the audit log."""
