"""What the audit log tells: create-if-absent proved, the schedule's last success, its failures."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.doctor.base import Needs
from daena_kms.doctor.check import Status
from daena_kms.doctor.log import create_if_absent, last_success
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import AlreadyExists

from tests.unit.doctor.worlds import KEY, Patient
from tests.worlds.memory import MemoryObjects

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NEEDS = Needs(
    "add", "read", overwrite_codes=frozenset({"Overwrite"}), write_codes=frozenset({"Denied"})
)


def closing(
    hours: float, failed: int = 0, trigger: str = "schedule", of: str = "aws"
) -> dict[str, object]:
    """A closing record of that age, as far as it is looked at."""
    time = (NOW - timedelta(hours=hours)).isoformat()
    return {"time": time, "trigger": trigger, "provider": of, "counts": {"failed": failed}}


@pytest.mark.parametrize(
    ("records", "status", "words"),
    [
        ([], Status.WARNING, "no scheduled run is among the last 0 runs"),
        ([closing(1, trigger="manual")], Status.WARNING, "no scheduled run"),
        ([closing(1, of="gcp")], Status.WARNING, "no scheduled run"),
        ([closing(26)], Status.OK, "ended 1 d ago, without a failure"),
        ([closing(26.01)], Status.WRONG, "one is expected every 26 h"),
        ([closing(50), closing(2)], Status.OK, "ended 2 h ago"),
        ([closing(2, failed=3)], Status.WRONG, "failed for 3 keys; no scheduled run"),
        (
            [closing(2, failed=3), closing(20)],
            Status.WRONG,
            "3 keys; the last one without a failure ended 20 h ago",
        ),
        ([closing(2), closing(3, failed=3)], Status.OK, "without a failure"),
        ([closing(2) | {"counts": {"failed": "x"}}], Status.OK, "without a failure"),
        ([closing(-0.05)], Status.OK, "without a failure"),
        (
            [closing(-1), closing(2)],
            Status.WARNING,
            "2 h ago, without a failure; 1 more, dated ahead",
        ),
        (
            [closing(-1), closing(30)],
            Status.WRONG,
            "ended 1 d ago; one is expected every 26 h; 1 more, dated ahead",
        ),
        ([closing(-600_000)], Status.WARNING, "no scheduled run is among the last 1 runs"),
    ],
)
def test_the_schedule(records: list[dict[str, object]], status: Status, words: str) -> None:
    """The newest scheduled run of this kind of store counts: its age, and whether it failed."""
    found = last_success(records, "aws", NOW, timedelta(hours=26))
    assert found.status is status
    assert words in found.found
    assert bool(found.todo) == (status is not Status.OK)


class Place(MemoryObjects):
    """A place where a put to an object that is there ends as a test wants."""

    end: Exception | None = None

    def put_new(self, name: str, data: bytes) -> None:
        """End so, or write over it."""
        assert self.stored[name] == data, "only what is there is put"
        if self.end is not None:
            raise self.end


def silent(error: AuditUnavailable) -> AuditUnavailable:
    """An error for a place that did not answer."""
    error.silent = True
    return error


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (AlreadyExists("n"), Status.OK, "was refused, as it should be"),
        (AlreadyExists("n", refused="Overwrite"), Status.OK, "was refused, as it should be"),
        (AlreadyExists("n", refused="Denied"), Status.WRONG, "may not write (Denied)"),
        (AlreadyExists("n", refused="Other"), Status.UNKNOWN, "refused (Other)"),
        (AuditUnavailable("denied", todo="Allow it"), Status.WRONG, "denied"),
        (silent(AuditUnavailable("away", todo="Wait")), Status.UNKNOWN, "away"),
        (None, Status.WRONG, "was overwritten"),
    ],
)
def test_create_if_absent(end: Exception | None, status: Status, words: str) -> None:
    """Only a refusal for the object that is there proves it; nothing new is ever written."""
    place = Place()
    place.stored["n"] = b"{}"
    place.end = end
    found = create_if_absent(place, "n", "log", NEEDS)
    assert (found.status, found.name) == (status, "log: create if absent")
    assert words in found.found
    assert place.stored == {"n": b"{}"}


@pytest.mark.parametrize("data", [b"<html>", b"", b'{"half', b"[1]", b"[" * 100_000])
def test_only_our_own_object_is_put_again(data: bytes) -> None:
    """What a proxy sent in its place is not, not even where the condition would be ignored."""
    place = Place()
    place.stored["n"] = data
    place.put_new = pytest.fail  # type: ignore[assignment, method-assign]  # it must not be called
    found = create_if_absent(place, "n", "log", NEEDS)
    assert found.status is Status.UNKNOWN


@pytest.mark.parametrize("sample", [None, "gone"])
def test_an_empty_log(sample: str | None) -> None:
    """With no object to put once more, nothing is tried."""
    found = create_if_absent(MemoryObjects(), sample, "log", NEEDS)
    assert found.status is Status.UNKNOWN
    assert "no object yet to try it on" in found.found


def test_a_failed_schedule_is_told(local: Patient) -> None:
    """A scheduled run in which a key failed is wrong, and so is the key, until it is mended."""
    local.create("other-key", **{"daena.spec": "token"})
    store = LocalAdapter().store
    store.tag(store.describe("other-key"), {"daena.grace": "never ever"})
    local.schedule()
    odd = local.odd()
    assert odd["schedule"].status is Status.WRONG
    assert "failed for 1 keys" in odd["schedule"].found
    assert odd["key other-key"].status is Status.WRONG
    assert "daena.grace" in odd["key other-key"].found
    assert "1 failing" in local.checks()["keys"].found


def test_a_schedule_that_stopped(anyone: Patient) -> None:
    """After the time within which a run is expected it is wrong."""
    anyone.shift = timedelta(hours=5)
    found = anyone.checks(expected=timedelta(hours=4))
    assert found["schedule"].status is Status.WRONG
    assert "ended 5 h ago" in found["schedule"].found


def test_keys_that_are_due(anyone: Patient) -> None:
    """How many are due is told; a day after the schedule's last run it is no fault of theirs."""
    anyone.shift = 91 * DAY
    assert anyone.checks()["keys"].found == "1 managed, 1 of them due now, 0 failing"
    assert KEY not in " ".join(anyone.odd())


def test_a_log_at_a_mistyped_address(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks as one that is empty, so that is told, and no folder is made."""
    url = os.environ["DAENA_KMS_AUDIT_URL"]
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", f"{url}-typo")
    found = local.odd()["audit log: read"]
    assert found.status is Status.WARNING
    assert "Check the address" in found.todo
    assert not Path(urlsplit(f"{url}-typo").path).exists()
