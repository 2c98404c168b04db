"""A setter over a vault that answers as a test wants it, with claims in memory and time by hand."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from daena_kms.errors import DaenaKMSError
from daena_kms.stores.azure.claims import SET_BY, Claims
from daena_kms.stores.azure.set import Begun, Looks, Setter

from tests.unit.keys import NOW
from tests.worlds.base import value
from tests.worlds.memory import MemoryObjects

if TYPE_CHECKING:
    from daena_kms.sdk.azure.client import Vault

NAME = "daena-20261124T120000Z-0123456789-0123456789abcdef"
MADE = "f" * 32


class Clock:
    """Time that passes only while somebody sleeps, or a call takes it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


class FakeClient:
    """Notes what a set is given."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def set_secret(self, name: str, material: str, **given: Any) -> Any:
        """Set."""
        self.given.append({"name": name, "value": material, **given})
        properties = type("Properties", (), {"version": MADE})
        return type("Secret", (), {"properties": properties})


class FakeVault:
    """Answers each call with the next of ``answers``: an error, or nothing for a version."""

    def __init__(self, clock: Clock, answers: list[Exception | None]) -> None:
        self.clock, self.answers = clock, answers
        self.client = FakeClient()
        self.times: list[float] = []
        self.takes = 0.0

    def call(self, _key_id: str, call: Callable[[Any], Any]) -> Any:
        """Make a call."""
        self.times.append(self.clock.now)
        self.clock.now += self.takes
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return call(self.client)


class World:
    """A setter over a vault that answers so, with claims in memory."""

    def __init__(self, *answers: Exception | None) -> None:
        self.clock = Clock()
        self.vault = FakeVault(self.clock, list(answers))
        self.objects = MemoryObjects()
        self.opened = 0
        self.setter = Setter(
            cast("Vault", self.vault),
            self.claims,
            monotonic=lambda: self.clock.now,
            sleep=self.clock.sleep,
        )
        self.begun = Begun(NAME, {"daena-version": NAME}, "text/plain", NOW)
        self.material = value()

    def claims(self) -> Claims:
        """Open the claims."""
        self.opened += 1
        return Claims(self.objects, "vault")

    def set(
        self,
        find: Callable[[], str | None] = lambda: None,
        left: timedelta = SET_BY,
        check: Callable[[], None] = lambda: None,
    ) -> str:
        """Claim and set."""
        assert not self.setter.claim(self.begun, "key", "base", NOW)
        return self.setter.set("key", self.material, self.begun, left, Looks(find, check))

    def fails(
        self,
        find: Callable[[], str | None] = lambda: None,
        left: timedelta = SET_BY,
        check: Callable[[], None] = lambda: None,
    ) -> DaenaKMSError:
        """Return the error that a set ends with; it holds nothing of the value."""
        with pytest.raises(DaenaKMSError) as caught:
            self.set(find, left, check)
        assert self.material not in repr(caught.value) + str(caught.value)
        return caught.value

    @property
    def free(self) -> bool:
        """Whether the claim was given back."""
        return "vault/key/base/0.free" in self.objects.held
