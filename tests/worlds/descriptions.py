"""What sessions and clients of the AWS SDK work out anew each time, worked out once for a process.

A session of botocore looks for the descriptions of all services, and parses those that it makes
clients of; it looks at how each of its hundred handlers is declared, and finds a name for each
event: 40 ms and more for a session with one client, and tests make thousands. Nothing of it
depends on the session, and what was parsed is shared by all clients of one session already, so
botocore does not change it.
"""

import functools
import types
from collections.abc import Set as AbstractSet
from typing import Any

from botocore import hooks, regions
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import JSONFileLoader, Loader


def share() -> None:
    """Let every session take what another has worked out."""
    _share_files()
    _share_events()
    _share_endpoints()


def _share_files() -> None:
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


def _share_events() -> None:
    known: Any = hooks
    plain = functools.cache(known.accepts_kwargs)

    def accepts_kwargs(handler: Any) -> Any:
        # Of a method its function, which lives as long as the process, and not the client.
        found = getattr(handler, "__func__", handler)
        kept = isinstance(found, types.FunctionType)
        return plain(found) if kept else plain.__wrapped__(handler)

    known.accepts_kwargs = accepts_kwargs
    begin = known.EventAliaser.__init__
    names: dict[str, str] = {}

    def begun(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        begin(self, event_emitter, event_aliases)
        if self._event_aliases == known.EVENT_ALIASES:
            self._alias_name_cache = names

    known.EventAliaser.__init__ = begun

    def copied(_self: Any, node: dict[str, Any]) -> dict[str, Any]:
        """Copy a tree of handlers, as botocore does with a general way to copy for each list."""
        made: dict[str, Any] = {}
        for name, value in node.items():
            if isinstance(value, dict):
                made[name] = copied(_self, value)
            elif isinstance(value, known.NodeList):
                made[name] = known.NodeList(value.first[:], value.middle[:], value.last[:])
            else:
                made[name] = value
        return made

    known._PrefixTrie._recursive_copy = copied


def _share_endpoints() -> None:
    known: Any = regions
    made: dict[tuple[int, int, frozenset[str]], tuple[object, object, EndpointProvider]] = {}

    def provider(
        ruleset_data: Any, partition_data: Any, excluded_params: AbstractSet[str] | None = None
    ) -> EndpointProvider:
        # By the parsed files themselves, which are kept here and so have their ids for good.
        key = (id(ruleset_data), id(partition_data), frozenset(excluded_params or ()))
        if key not in made:
            found = EndpointProvider(ruleset_data, partition_data, excluded_params)
            made[key] = (ruleset_data, partition_data, found)
        return made[key][2]

    known.EndpointProvider = provider
