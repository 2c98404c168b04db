"""The AWS SDK's descriptions of services, parsed once for a test process.

A session of botocore parses those of the services that it makes clients of: 20 ms for each new
session, and tests make hundreds. What was parsed is shared by all clients of one session already,
so botocore does not change it.
"""

import functools
from typing import Any

from botocore.loaders import JSONFileLoader


def share() -> None:
    """Let every session take what another has parsed."""
    load = JSONFileLoader.load_file

    @functools.cache
    def loaded(path: str) -> Any:
        return load(JSONFileLoader(), path)

    def load_file(_self: JSONFileLoader, path: str) -> Any:
        return loaded(path)

    JSONFileLoader.load_file = load_file  # type: ignore[method-assign, assignment] # for this process
