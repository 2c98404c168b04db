"""The commands on the seals of the audit log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daena_kms.cli import audit
from daena_kms.cli.common import AsJson, print_json, reporting, say, tell
from daena_kms.errors import ConfigError

if TYPE_CHECKING:
    from daena_kms.objects.base import Objects
    from daena_kms.settings import Settings

app = audit.app


def _place(settings: "Settings") -> "tuple[Objects, str]":
    """Return the place for seals, and the log's name there.

    Raises:
        ConfigError: None is set.
    """
    from daena_kms.seal import open_seals

    place, origin = open_seals(settings), settings.seal_origin
    if place is None or origin is None:
        todo = "Set DAENA_KMS_SEAL_URL to a folder, bucket or container that only the sealer writes"
        raise ConfigError("there is no place for seals", todo=todo)
    return place, origin


@app.command("seal")
def seal_log(as_json: AsJson = False) -> None:
    """Seal all of the log that is not sealed yet, and sign what it is then.

    Ends with 0 whatever it had to report, and with 1 if it could not seal.
    """
    from datetime import UTC, datetime

    from daena_kms.audit import open_log
    from daena_kms.seal import open_copies
    from daena_kms.seal.place import Seals
    from daena_kms.seal.sealer import Sealer
    from daena_kms.seal.signers import open_signers
    from daena_kms.settings import Settings

    with reporting(as_json=as_json):
        settings = Settings.load()
        place, origin = _place(settings)
        sealed = Seals(place).newest() is not None
        signers = open_signers(settings, origin, sealed=sealed)
        sealer = Sealer(open_log(), place, signers, origin, open_copies(settings))
        done = sealer.seal(datetime.now(UTC))
        for problem in done.problems:
            tell(f"{problem.name} {problem.what}", "red", stderr=True)
        for note in done.notes:
            tell(note, "yellow", stderr=True)
        document: dict[str, object] = {
            "seals": done.seals,
            "leaves": done.leaves,
            "size": done.size,
            "checkpoint": done.checkpoint,
            "problems": [{"object": p.name, "what": p.what} for p in done.problems],
            "notes": done.notes,
        }
        new = f"{done.leaves:,} new objects" if done.leaves else "nothing new"
        say(document, f"Sealed {new}: {done.size:,} in all, {done.checkpoint}.", as_json)


@app.command("key")
def show_key(as_json: AsJson = False) -> None:
    """Print the key that verifies the seals' signatures, one a line; it is public."""
    from daena_kms.seal.place import Seals
    from daena_kms.seal.signers import open_signers
    from daena_kms.settings import Settings

    with reporting(as_json=as_json):
        settings = Settings.load()
        place, origin = _place(settings)
        sealed = Seals(place).newest() is not None
        keys = [signer.key.text for signer in open_signers(settings, origin, sealed=sealed)]
        if as_json:
            print_json({"keys": keys})
        else:
            for key in keys:
                tell(key, soft_wrap=True)


@app.command("export")
def export_log(
    folder: Annotated[Path, typer.Argument(help="A new folder.", metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Write the sealed log into a folder, to hand it over: anybody can verify it there, offline."""
    from daena_kms.audit import open_log
    from daena_kms.seal.proofs import export
    from daena_kms.settings import Settings

    with reporting(as_json=as_json):
        place, _ = _place(Settings.load())
        copied, seal = export(open_log(), place, folder)
        document = {"folder": str(folder), "objects": copied, "sealed": seal.size}
        say(document, f"{copied:,} objects, {seal.size:,} of them sealed: {folder}", as_json)


@app.command("prove")
def prove_object(
    name: Annotated[str, typer.Argument(help="An object of the log.", metavar="NAME")],
    output: Annotated[Path, typer.Option(help="The file to write.")],
    as_json: AsJson = False,
) -> None:
    """Write the proof that one object is in the sealed log."""
    from daena_kms.seal.proofs import prove
    from daena_kms.settings import Settings

    with reporting(as_json=as_json):
        place, _ = _place(Settings.load())
        proof = prove(place, name)
        try:
            with output.open("xb") as file:
                file.write(proof)
        except OSError as error:
            msg = f"{output} can't be written: {error.strerror}"
            raise ConfigError(msg, todo="Give a new file in a folder of your own") from error
        say({"name": name, "output": str(output)}, f"Wrote {output}.", as_json)
