"""The AWS SDK's descriptions of services, parsed once for a test process.

A session of botocore looks for those of all services, and parses those that it makes clients of:
20 ms and more for each new session, and tests make hundreds. What was parsed is shared by all
clients of one session already, so botocore does not change it.
"""

import functools
from typing import Any

from botocore.loaders import JSONFileLoader, Loader


def share() -> None:
    """Let every session take what another has parsed."""
    load = JSONFileLoader.load_file

    @functools.cache
    def loaded(path: str) -> Any:
        return load(JSONFileLoader(), path)

    def load_file(_self: JSONFileLoader, path: str) -> Any:
        return loaded(path)

    JSONFileLoader.load_file = load_file  # type: ignore[method-assign, assignment] # for this process
    look = Loader.list_available_services

    @functools.cache
    def found(folders: tuple[str, ...], kind: str) -> Any:
        return tuple(
            look(Loader(extra_search_paths=list(folders), include_default_search_paths=False), kind)
        )

    def list_available_services(self: Loader, type_name: str) -> list[str]:
        return list(found(tuple(self.search_paths), type_name))

    Loader.list_available_services = list_available_services  # type: ignore[method-assign] # as above
