"""Histories in which something once went wrong, made small."""

from collections.abc import Mapping

from tests.simulation.history import History, Policy, Step

_SHORT = Policy("token", 1, 2)

KEPT: Mapping[str, History] = {
    "a version that is revoked while its key is being deleted is not restored": History(
        "gcp",
        2156,
        _SHORT,
        (Step(7260.554917985014, "delete"), Step(7260.272832559681, "emergency")),
    ),
}
