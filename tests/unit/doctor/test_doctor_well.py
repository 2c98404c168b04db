"""With everything in order nothing is wrong, nothing is changed, and no value is told."""

import base64
import copy
import json
import logging

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import Status

from tests.unit.doctor.worlds import KEY, NEVER, Patient

#: What is as good as it gets.
ODD = {
    "local": {"audit log: deletion protection"},
    "gcp": {"permission storage.objects.delete"},
}


def test_everything_well(anyone: Patient) -> None:
    """Nothing is wrong; what is not ok is what can't be otherwise, and says what to look for."""
    odd = anyone.odd()
    assert odd.keys() == NEVER[anyone.provider] | ODD.get(anyone.provider, set())
    assert {check.status for check in odd.values()} <= {Status.UNKNOWN, Status.WARNING}
    assert all(check.todo for check in odd.values())


def test_the_same_things_are_looked_at_on_every_store(anyone: Patient) -> None:
    """Settings, credentials, clock, keys, log and schedule have one name each everywhere."""
    common = {
        *("settings: store", "credentials", "clock", "keys: list", "keys"),
        *("settings: audit log", "audit log: read", "audit log: create if absent"),
        *("audit log: deletion protection", "schedule"),
    }
    found = anyone.checks().keys()
    assert found >= common
    assert any(name.startswith("permission") for name in found)


def test_nothing_is_changed(anyone: Patient) -> None:
    """The keys, their versions and the log are what they were."""

    def state() -> object:
        log, store = open_log(), get_cloud_kms_adapter(anyone.provider).store
        objects = {entry.name: log.get(entry.name) for entry in log.entries("log/")}
        return copy.deepcopy((list(store.inventory()), store.read(KEY), objects))

    before = state()
    anyone.checks()
    assert state() == before


def test_no_value_is_told(anyone: Patient, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a finding nor in a log at any level."""
    value = get_cloud_kms_adapter(anyone.provider).get_key(KEY)
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    told = json.dumps([check.record() for check in anyone.checks().values()]) + caplog.text
    assert told
    for form in (value, base64.b64encode(value.encode()).decode(), value.encode().hex()):
        assert form not in told
