"""The run that the demo kills right before its first change: ``python -m daena_kms.cli.crash``."""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from daena_kms.audit import open_log
from daena_kms.engine import run
from daena_kms.rules.model import Key
from daena_kms.rules.policy import Defaults
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.base import Staged
from daena_kms.stores.local.store import LocalStore


class _Killed(LocalStore):
    def promote(self, key: Key, staged: Staged, now: datetime) -> NoReturn:
        del key, staged, now
        # No handler and no cleanup runs, as if the machine failed.
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def main(folder: str, now: str) -> None:
    """Begin a run at ``now`` on the demo's store in ``folder``, and be killed in it."""
    adapter = CloudKMSAdapter(_Killed(Path(folder) / "store"), Defaults())
    log = open_log((Path(folder) / "audit").as_uri())
    run(adapter, log, now=datetime.fromisoformat(now), trigger="schedule", principal="demo")


if __name__ == "__main__":
    main(*sys.argv[1:])
