"""Terraform's providers, started once for a test process.

Terraform starts a provider twice for each ``run`` of a test, and that took most of its tests' time.
It can use one that is running already, over a connection without TLS:
https://developer.hashicorp.com/terraform/plugin/debugging#running-terraform-with-a-provider-in-debug-mode
A provider that speaks TLS alone is reached through :class:`_Relay`.
"""

import asyncio
import base64
import json
import re
import ssl
import threading
from pathlib import Path
from typing import Self

from infra.local.process import ChildProcess

#: By which a provider knows that it is not a person who starts it:
#: https://github.com/hashicorp/terraform/blob/main/internal/plugin6/serve.go
_COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"
#: The line that says where a provider listens: versions, address, protocol, certificate.
#: https://github.com/hashicorp/go-plugin/blob/main/docs/guide-plugin-write-non-go.md
_SAYS = re.compile(r"^1\|([56])\|(unix|tcp)\|([^|\n]+)\|grpc(?:\|([^|\n]*))?.*$", re.MULTILINE)
_CHUNK = 65536


class Provider(ChildProcess):
    """One provider, for as many commands of Terraform as there are."""

    def __init__(self, program: Path) -> None:
        super().__init__()
        self.name = program.name
        self._program = program
        self._relay: _Relay | None = None

    def reattach(self) -> dict[str, object]:
        """Return how Terraform finds it."""
        version, network, address, _ = self._said()
        if self._relay is not None:
            network, address = "unix", self._relay.address
        return {
            "Protocol": "grpc",
            "ProtocolVersion": int(version),
            "Pid": self.pid,
            # It does not end with a command.
            "Test": True,
            "Addr": {"Network": network, "String": address},
        }

    def start(self) -> Self:
        """Start it, and a relay where it takes one."""
        super().start()
        _, network, address, certificate = self._said()
        if certificate:
            assert network == "unix", address
            relay = _Relay(self.folder / "plain", address, certificate)
            self._relay = relay.start()
        return self

    def stop(self) -> None:
        """End both."""
        if self._relay is not None:
            self._relay.stop()
            self._relay = None
        super().stop()

    def _said(self) -> tuple[str, str, str, str]:
        found = _SAYS.search(self.log())
        assert found is not None
        version, network, address, certificate = found.groups(default="")
        return version, network, address, certificate

    def _command(self, folder: Path) -> list[str]:
        del folder
        return [str(self._program)]

    def _surroundings(self, folder: Path) -> dict[str, str]:
        own = {"TF_PLUGIN_MAGIC_COOKIE": _COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "5,6"}
        return super()._surroundings(folder) | own

    def _address(self) -> str | None:
        return self._said()[2] if _SAYS.search(self.log()) else None


class Providers:
    """Those that were asked for so far."""

    def __init__(self) -> None:
        self._running: dict[Path, Provider] = {}

    def reattach(self, folder: Path) -> str:
        """Return ``TF_REATTACH_PROVIDERS`` for a folder after its ``init``, empty before it."""
        found = {}
        place = folder / ".terraform" / "providers"
        # HOST/NAMESPACE/TYPE/VERSION/PLATFORM/PROGRAM
        for program in sorted(place.glob("*/*/*/*/*/terraform-provider-*")):
            source = "/".join(program.relative_to(place).parts[:3])
            found[source] = self._started(program.resolve()).reattach()
        return json.dumps(found) if found else ""

    def stop(self) -> None:
        """End them all."""
        while self._running:
            self._running.popitem()[1].stop()

    def _started(self, program: Path) -> Provider:
        if program not in self._running:
            self._running[program] = Provider(program).start()
        return self._running[program]


class _Relay:
    """Passes connections on to a socket that speaks TLS and shows this certificate."""

    def __init__(self, at: Path, to: str, certificate: str) -> None:
        self.address = str(at)
        self._to = to
        padded = certificate + "=" * (-len(certificate) % 4)
        self._trust = ssl.create_default_context(
            cadata=ssl.DER_cert_to_PEM_cert(base64.b64decode(padded))
        )
        # It is this very certificate or none, whatever name and key it has.
        self._trust.check_hostname = False
        self._trust.set_ciphers("DEFAULT:@SECLEVEL=0")
        self._trust.set_alpn_protocols(["h2"])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None

    def start(self) -> Self:
        """Serve in a thread."""
        self._thread.start()
        opened = asyncio.start_unix_server(self._serve, self.address)
        self._server = asyncio.run_coroutine_threadsafe(opened, self._loop).result()
        return self

    def stop(self) -> None:
        """End every connection and the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(
            self._to, ssl=self._trust, server_hostname=""
        )
        sides = [
            asyncio.create_task(_pass_on(reader, back)),
            asyncio.create_task(_pass_on(there, writer)),
        ]
        try:
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Whichever side ends, ends the other, with no farewell that nobody waits for.
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
            for end in (writer, back):
                end.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
