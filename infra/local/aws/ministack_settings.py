"""What a local AWS and the functions in it run under, with nothing of the caller's."""

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

HOST = "127.0.0.1"
REGION = "eu-west-1"
ACCOUNT = "000000000000"
SECRET = "local"  # noqa: S105 - any word will do: ministack trusts the account id as access key


def interpreter(folder: Path, unset: Iterable[str], *, isolated: bool) -> Path:
    """A script that runs functions: without ministack's settings, and isolated if wanted."""
    script = folder / "python"
    flags = "-s -S -P " if isolated else ""
    script.write_text(
        # Powertools, for one, would obey the LOG_LEVEL that is meant for ministack.
        f'#!/bin/sh\nunset {" ".join(unset)}\nexec {shlex.quote(sys.executable)} {flags}"$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o700)
    return script


def settings(folder: Path, port: int, token: str, *, enforce_iam: bool) -> dict[str, str]:
    """What ministack reads from its environment."""
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
        # It looks for a container engine when it starts.
        "DOCKER_HOST": f"unix://{folder}/none.sock",
        # At INFO it prints what functions print.
        "LOG_LEVEL": "WARNING",
    }


def surroundings(folder: Path) -> dict[str, str]:
    """What ministack hands on to functions; nothing of our caller's but the search path."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        # Functions on Lambda always have a session token; ministack would set an empty one.
        "AWS_SESSION_TOKEN": SECRET,
    }
