"""The command line: ``daena-kms``. Exit status: 0 done, 1 something failed, 2 bad usage."""


def main() -> None:
    """Run the command line."""
    from daena_kms.cli.app import app  # noqa: PLC0415 - importing the package shows no commands

    app(prog_name="daena-kms")
