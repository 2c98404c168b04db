"""What ``make demo`` shows: the engine at work on this machine, without an account."""

import os

from daena_kms.cli.page import Page, scratch

PARTS = ("local", "aws", "azure", "gcp")


def show(parts: list[str], *, keep: bool) -> None:
    """Show some of :data:`PARTS`, one after the other.

    The files are in a temporary folder, removed at the end unless ``keep`` is set.
    """
    # gRPC's core would print that a server has closed its connections, as ours does at its end.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # Each cloud's part loads its SDK.
    from daena_kms.cli import demo as local

    from infra.demo import aws, azure, gcp

    page = Page()
    shown = {"local": local, "aws": aws, "azure": azure, "gcp": gcp}
    with scratch(page, keep=keep) as folder:
        for part in parts:
            shown[part].show(page, folder / part)
