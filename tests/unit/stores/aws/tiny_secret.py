"""One secret of Secrets Manager as far as its labels go, with what really happened to it."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn

from botocore.exceptions import ClientError
from daena_kms.stores.aws.labels import (
    CURRENT,
    MAX_LABELS,
    PREVIOUS,
)

from tests.unit.logs import Hands

if TYPE_CHECKING:
    from datetime import datetime


#: What nearly every answer holds.
NAMED = {
    "ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:some-key-a1b2c3",
    "Name": "some-key",
}


class Killed(BaseException):
    """The process that was making calls is no more."""


class TinySecret:
    """Stands for the SDK's client of one secret; the rules are those of tests/stores."""

    meta = SimpleNamespace(region_name="eu-central-1")

    def __init__(self, clock: Hands) -> None:
        self.clock = clock
        self.created = clock()
        self.labels: dict[str, str] = {}
        #: When each version was made, labelled or not.
        self.made: dict[str, datetime] = {}
        self.tags: dict[str, str] = {}
        #: When each version that was ever current last stopped being so; None: it still is.
        self.superseded: dict[str, datetime | None] = {}
        #: Dies at that call from now, from 1, before or after it takes effect.
        self.die_at = 0
        self.after = False

    def stages(self) -> dict[str, list[str]]:
        """Return the labels by version."""
        found: dict[str, list[str]] = {}
        for label, version in self.labels.items():
            found.setdefault(version, []).append(label)
        return found

    def outsider_puts(self) -> str:
        """Make a new current version as anybody's default put does."""
        version = str(uuid.uuid4())
        self._place([CURRENT], version)
        return version

    # The calls, by the SDK's names.

    def describe_secret(self, **_: object) -> Mapping[str, object]:
        """Answer what there is."""
        return {
            **NAMED,
            "CreatedDate": self.created,
            "LastChangedDate": self.clock(),
            "Tags": [{"Key": name, "Value": value} for name, value in self.tags.items()],
            "VersionIdsToStages": self.stages(),
        }

    def list_secret_version_ids(
        self, *, IncludeDeprecated: bool = False, **_: object
    ) -> Mapping[str, object]:
        """Answer every version on one page; the unlabelled ones only if they are asked for."""
        stages = self.stages()
        shown = [v for v in self.made if IncludeDeprecated or v in stages]
        return {**NAMED, "Versions": [{"VersionId": v, "CreatedDate": self.made[v]} for v in shown]}

    def put_secret_value(
        self,
        ClientRequestToken: str,
        VersionStages: Sequence[str],
        **_: object,
    ) -> Mapping[str, object]:
        """Add a version under labels."""
        self._call(lambda: self._place(VersionStages, ClientRequestToken))
        return {**NAMED, "VersionId": ClientRequestToken}

    def create_secret(self, ClientRequestToken: str, **_: object) -> Mapping[str, object]:
        """Add the first version."""
        self._call(lambda: self._place([CURRENT], ClientRequestToken))
        return {**NAMED, "VersionId": ClientRequestToken}

    def tag_resource(self, Tags: Sequence[Mapping[str, str]], **_: object) -> Mapping[str, object]:
        """Set tags."""

        def change() -> None:
            self.tags |= {tag["Key"]: tag["Value"] for tag in Tags}

        self._call(change)
        return {"ResponseMetadata": {"RequestId": "1"}}

    def update_secret_version_stage(
        self,
        VersionStage: str,
        MoveToVersionId: str | None = None,
        RemoveFromVersionId: str | None = None,
        **_: object,
    ) -> Mapping[str, object]:
        """Move a label, if it is where the caller takes it to be."""

        def change() -> None:
            holder = self.labels.get(VersionStage)
            if RemoveFromVersionId is not None and RemoveFromVersionId != holder:
                refuse("InvalidParameterException")
            if RemoveFromVersionId is None and holder not in {None, MoveToVersionId}:
                refuse("InvalidParameterException")
            if MoveToVersionId is not None:
                self._place([VersionStage], MoveToVersionId)
            else:
                del self.labels[VersionStage]

        self._call(change)
        return NAMED

    def _call(self, change: Callable[[], None]) -> None:
        self.die_at -= 1
        if self.die_at == 0 and not self.after:
            raise Killed
        change()
        if self.die_at == 0:
            raise Killed

    def _place(self, labels: Sequence[str], version: str) -> None:
        moved = dict(self.labels)
        for label in labels:
            holder = moved.get(label, version)
            moved[label] = version
            if label == CURRENT and holder != version:
                moved[PREVIOUS] = holder
        if len(moved) > MAX_LABELS:
            refuse("LimitExceededException")
        old = self.labels.get(CURRENT)
        self.labels = moved
        self.made.setdefault(version, self.clock())
        if CURRENT in labels and old != version:
            self.superseded[version] = None
            if old is not None:
                self.superseded[old] = self.clock()


def refuse(code: str) -> NoReturn:
    """Raise what the SDK raises for that code."""
    raise ClientError({"Error": {"Code": code}}, "Operation")
