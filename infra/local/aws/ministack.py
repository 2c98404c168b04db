"""Runs a local AWS (ministack), in which Lambda functions run too."""

import functools
import importlib.util
import json
import os
import shlex
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daena_kms.errors import ConfigError

from infra.local.process import HOST, ChildProcess, direct, free_port

__all__ = ["ACCOUNT", "REGION", "LocalAws"]

REGION = "eu-west-1"
ACCOUNT = "000000000000"
_SECRET = "local"  # noqa: S105 - any word will do: ministack trusts the account id as access key
_PROGRAM = Path(__file__).with_name("ministack_process.py")
_HEALTH_SECONDS = 2
_RESET_SECONDS = 30
_ANSWER_SECONDS = 900
_MAKING = threading.Lock()


@functools.cache
def _session() -> Any:
    """Return a session, which keeps the descriptions of the services that it has read."""
    from botocore.session import Session

    return Session(
        {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
        }
    )


class LocalAws(ChildProcess):
    """A local AWS on a free loopback port.

    Args:
        isolated: functions see the standard library and their own bundle, as on Lambda. When
            false they also see what is installed in this environment.
        enforce_iam: check every call against IAM policies, those of functions included.
    """

    name = "the local AWS"

    def __init__(self, *, isolated: bool = True, enforce_iam: bool = False) -> None:
        super().__init__()
        self._isolated = isolated
        self._enforce_iam = enforce_iam
        self._endpoint = ""
        self._token = ""
        self._settings: dict[str, str] = {}

    def client(self, service: str) -> Any:
        """Return an SDK client that ignores the person's settings and profiles."""
        from botocore.config import Config

        # A slow function must not be invoked a second time.
        config = Config(read_timeout=_ANSWER_SECONDS, retries={"total_max_attempts": 1})
        # A session makes one client at a time.
        with _MAKING:
            return _session().create_client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=ACCOUNT,
                aws_secret_access_key=_SECRET,
                config=config,
            )

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead an AWS SDK to it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
        }

    def reset(self) -> None:
        """Forget all state and end all functions, as if just started."""
        request = urllib.request.Request(f"{self.url}/_ministack/reset", method="POST")
        with direct().open(request, timeout=_RESET_SECONDS) as answer:
            answer.read()

    def _command(self, folder: Path) -> list[str]:
        if importlib.util.find_spec("ministack") is None:
            raise ConfigError(
                "the local AWS needs the package ministack, which is not installed",
                todo="In a clone of the project, make demo brings it along; so does "
                "pip install --group dev",
            )
        port = free_port()
        self._endpoint, self._token = f"http://{HOST}:{port}", uuid.uuid4().hex
        self._settings = _settings(folder, port, self._token, enforce_iam=self._enforce_iam)
        python = _interpreter(folder, self._settings, isolated=self._isolated)
        return [sys.executable, "-P", str(_PROGRAM), str(python)]

    def _surroundings(self, folder: Path) -> dict[str, str]:
        # ministack passes these on to the functions.
        own = {
            "PATH": os.environ.get("PATH", os.defpath),
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            # Functions on Lambda always have a session token; ministack would set an empty one.
            "AWS_SESSION_TOKEN": _SECRET,
        }
        return super()._surroundings(folder) | own | self._settings

    def _address(self) -> str | None:
        # Only our own child knows the token; anything else on the port is a stranger.
        return self._endpoint if _edition(self._endpoint) == self._token else None


def _edition(url: str) -> str | None:
    """Return what the server calls its edition, or None while it does not answer."""
    try:
        with direct().open(f"{url}/_ministack/health", timeout=_HEALTH_SECONDS) as answer:
            health: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return None
    return str(health.get("edition"))


def _interpreter(folder: Path, unset: Iterable[str], *, isolated: bool) -> Path:
    """Return a script that runs functions, without ministack's own settings."""
    script = folder / "python"
    flags = "-s -S -P " if isolated else ""
    script.write_text(
        # Powertools would take the LOG_LEVEL that is meant for ministack.
        f'#!/bin/sh\nunset {" ".join(unset)}\nexec {shlex.quote(sys.executable)} {flags}"$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o700)
    return script


def _settings(folder: Path, port: int, token: str, *, enforce_iam: bool) -> dict[str, str]:
    """Return what ministack reads from its environment."""
    return {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_EDITION": token,
        "AUTH": "true" if enforce_iam else "false",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # It would look for a container engine when it starts.
        "DOCKER_HOST": f"unix://{folder}/none.sock",
        # At INFO it prints what functions print.
        "LOG_LEVEL": "WARNING",
    }
