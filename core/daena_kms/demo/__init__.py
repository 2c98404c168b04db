"""The demo: the engine at work on this machine, with no account and nothing left behind."""

import shutil
import tempfile
from pathlib import Path

from daena_kms.errors import ConfigError

PARTS = ("local", "aws", "all")


def show(part: str, *, keep: bool) -> None:
    """Run a part of the demo: ``local``, ``aws`` or ``all``. Raises :class:`ConfigError`.

    The files are in a temporary folder, removed at the end unless ``keep`` is set.
    """
    from daena_kms.demo import aws, local  # noqa: PLC0415 - a cloud's part needs its SDK
    from daena_kms.demo.page import Page  # noqa: PLC0415 - as above

    if part not in PARTS:
        raise ConfigError(f"{part[:40]!r} is no part of the demo", todo=f"Use {', '.join(PARTS)}")
    folder = Path(tempfile.mkdtemp(prefix="daena-kms-demo-"))
    page = Page()
    try:
        if part in {"local", "all"}:
            local.show(page, folder / "local")
        if part in {"aws", "all"}:
            aws.show(page, folder / "aws")
    finally:
        if keep:
            page.say(f"The files are in {folder}")
        else:
            shutil.rmtree(folder)
