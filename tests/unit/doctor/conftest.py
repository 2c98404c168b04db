"""Patients: one store each, empty, and one with a key and a scheduled run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.doctor.worlds import Patient, patient
from tests.worlds.kinds import KINDS


def _well(one: Patient) -> Patient:
    one.create()
    one.schedule()
    return one


@pytest.fixture(params=KINDS)
def anyone(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Patient]:
    """Give each store in turn, with a key and a scheduled run."""
    with patient(request.param, tmp_path, monkeypatch) as one:
        yield _well(one)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    """Give the local store, as above."""
    with patient("local", tmp_path, monkeypatch) as one:
        yield _well(one)


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    """Give AWS, as above."""
    with patient("aws", tmp_path, monkeypatch) as one:
        yield _well(one)


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    """Give Azure, as above; a rotation has left a claim."""
    with patient("azure", tmp_path, monkeypatch) as one:
        yield _well(one)


@pytest.fixture
def gcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    """Give Google Cloud, as above."""
    with patient("gcp", tmp_path, monkeypatch) as one:
        yield _well(one)
