"""A process of its own that plans all keys and prints its memory: idle, and at its peak."""

import json
import re
import sys
from pathlib import Path

from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter, get_cloud_kms_adapter
from daena_kms.engine import run

from tests.bench.clients import make_clients


def _megabytes(line: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{line}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise LookupError(line)
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    """Load the client, look at the memory, run, look again."""
    adapter = get_cloud_kms_adapter()
    session = adapter.aws.session() if isinstance(adapter, AWSKMSAdapter) else None
    log = open_log(session=session, login=getattr(adapter, "login", None))
    make_clients(adapter)
    idle = _megabytes("VmRSS")
    summary = run(adapter, log, dry_run=sys.argv[1] == "dry-run")
    counts = summary.counts()
    due = summary.overdue + counts["rotated"] + counts["failed"]
    result = {"idle": idle, "peak": _megabytes("VmHWM"), "keys": summary.keys, "due": due}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
