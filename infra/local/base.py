"""The interface of everything that runs on this machine in place of a cloud."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class LocalCloud(ABC):
    """A cloud, or a part of one, that runs while it is a context."""

    @abstractmethod
    def start(self) -> Self:
        """Start it, and return when it can be used."""

    @abstractmethod
    def stop(self) -> None:
        """End it and leave nothing behind. Does nothing if it is not running."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a program to it; empty where it has only an address."""
        return {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
