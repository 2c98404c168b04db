"""The demo: the engine at work on this machine, with no account and nothing left behind."""

import os
import shutil
import tempfile
from pathlib import Path

from daena_kms.errors import ConfigError

PARTS = ("local", "aws", "azure", "gcp", "all")


def show(part: str, *, keep: bool) -> None:
    """Run a part of the demo: a store's name, or ``all``. Raises :class:`ConfigError`.

    The files are in a temporary folder, removed at the end unless ``keep`` is set.
    """
    # gRPC's core reports on standard error that a server has ended its connections, as ours do.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from daena_kms.demo import aws, azure, gcp, local  # noqa: PLC0415 - a cloud's part needs its SDK
    from daena_kms.demo.page import Page  # noqa: PLC0415 - as above

    shown = {"local": local, "aws": aws, "azure": azure, "gcp": gcp}
    if part not in PARTS:
        raise ConfigError(f"{part[:40]!r} is no part of the demo", todo=f"Use {', '.join(PARTS)}")
    folder = Path(tempfile.mkdtemp(prefix="daena-kms-demo-"))
    page = Page()
    try:
        for name, module in shown.items():
            if part in {name, "all"}:
                module.show(page, folder / name)
    finally:
        if keep:
            page.say(f"The files are in {folder}")
        else:
            shutil.rmtree(folder)
