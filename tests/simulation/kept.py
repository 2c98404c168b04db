"""Histories in which something once went wrong, made small."""

from collections.abc import Mapping

from tests.simulation.history import History

KEPT: Mapping[str, History] = {}
