"""A setter over a vault that answers as a test wants it, with claims in memory and time by hand."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from daena_kms.errors import DaenaKMSError
from daena_kms.stores.azure.claims import SET_BY, Claims
from daena_kms.stores.azure.look import to_key
from daena_kms.stores.azure.set import NextVersion, Setter

from tests.unit.keys import NOW
from tests.unit.stores.azure.azure_versions import ours, properties
from tests.worlds.base import value
from tests.worlds.memory import MemoryObjects

if TYPE_CHECKING:
    from daena_kms.rules.model import Key
    from daena_kms.sdk.azure.client import Vault
    from daena_kms.stores.azure.look import Looker

NAME = "daena-20261124T120000Z-0123456789-0123456789abcdef"
MADE = "f" * 32
KEY = to_key(ours())


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
        return SimpleNamespace(properties=properties(NOW, given["tags"], version=MADE))


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


class FakeLooker:
    """Looks as a test wants it: for the version that was set, and whether the key is the same."""

    def __init__(self) -> None:
        self.find: Callable[[], str | None] = lambda: None
        self.check: Callable[[], None] = lambda: None

    def find_named(self, key_id: str, name: str) -> str | None:
        """Find a version."""
        assert (key_id, name) == ("key", NAME)
        return self.find()

    def check_same(self, key: "Key") -> None:
        """Check that the key is unchanged."""
        assert key is KEY
        self.check()


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
        self.looker = FakeLooker()
        self.setter._looker = cast("Looker", self.looker)
        self.new = NextVersion(
            "key", KEY, NAME, {"daena-version": NAME}, content_type="text/plain", expires=NOW
        )
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
        assert not self.setter.take(self.new, "base", NOW)
        self.looker.find, self.looker.check = find, check
        return self.setter.set(self.new, self.material, left)

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
        return "vault/key/base/0.free" in self.objects.stored
