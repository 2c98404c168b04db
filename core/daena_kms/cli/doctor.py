"""The command that checks everything that rotations need, and says how to fix it."""

from typing import Annotated

import typer

from daena_kms.cli.common import FAILED, AsJson, Provider, console, print_json, reporting, tell


def doctor(
    expect_every: Annotated[
        str,
        typer.Option(
            help="The longest expected time between two scheduled runs, such as 24h or 7d."
        ),
    ] = "26h",
    function_url: Annotated[
        str | None,
        typer.Option(help="On AWS: the URL of the function that answers the HTTP API, to try it."),
    ] = None,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Check everything that rotations need, and say how to fix it. Changes nothing.

    Ends with 1 if something is wrong.
    """
    from daena_kms.cli.render import checks_table
    from daena_kms.doctor import Status, examine
    from daena_kms.rules.durations import parse_duration

    with reporting(as_json=as_json):
        expected = parse_duration(expect_every, "--expect-every")
        checks = list(examine(provider, expected=expected, function_url=function_url))
        wrong = sum(check.status is Status.WRONG for check in checks)
        if as_json:
            print_json({"ok": not wrong, "checks": [check.record() for check in checks]})
        else:
            console().print(checks_table(checks))
            counts = {status: sum(c.status is status for c in checks) for status in Status}
            tell(", ".join(f"{n} {status}" for status, n in counts.items() if n))
        if wrong:
            raise typer.Exit(FAILED)
