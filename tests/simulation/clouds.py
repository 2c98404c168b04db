"""The stores that histories are played on, by their names."""

from collections.abc import Mapping

from tests.simulation.aws import Aws
from tests.simulation.azure import Azure
from tests.simulation.base import Cloud
from tests.simulation.gcp import Gcp
from tests.simulation.local import Local

CLOUDS: Mapping[str, type[Cloud]] = {c.provider: c for c in (Local, Aws, Azure, Gcp)}
