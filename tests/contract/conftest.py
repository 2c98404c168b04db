"""The worlds, as fixtures."""

from tests.worlds.kinds import aws, azure, cloud, gcp, world

__all__ = ["aws", "azure", "cloud", "gcp", "world"]
