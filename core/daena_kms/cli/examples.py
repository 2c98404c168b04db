"""Examples for each command, shown at the end of its help."""

from collections.abc import Mapping

import typer

#: By the name of the command, as it is typed.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "plan": (
        "daena-kms plan",
        "daena-kms plan --provider local --json",
        "daena-kms plan --fail-if-overdue",
    ),
    "rotate": (
        "daena-kms rotate",
        'daena-kms rotate app-token --reason "left in a build log" --yes',
        'daena-kms rotate app-token --compromised --reason "posted in a chat" --yes',
        "daena-kms rotate --dry-run",
    ),
    "create": (
        "daena-kms create new-key",
        "daena-kms create new-token --spec token --rotate-after 30d --grace 48h",
    ),
    "adopt": ("daena-kms adopt old-token --spec token --rotate-after 90d --yes",),
    "list": ("daena-kms list", "daena-kms list --json"),
    "show": ("daena-kms show app-token", "daena-kms show app-token --reveal --version previous"),
    "hold": (
        "daena-kms hold app-token",
        'daena-kms hold app-token --until 2099-12-24T08:00:00Z --reason "the yearly freeze"',
    ),
    "release": ("daena-kms release held-token",),
    "rollback": (
        'daena-kms rollback app-token --reason "the new value was refused" --yes',
        "daena-kms rollback app-token --version previous --yes",
    ),
    "policy show": ("daena-kms policy show app-token", "daena-kms policy show app-token --json"),
    "policy set": (
        'daena-kms policy set app-token --rotate-after 30d --grace 48h --reason "a new rule" --yes',
        "daena-kms policy set app-token held-token --unset grace --yes",
    ),
    "delete": ("daena-kms delete app-token --yes",),
    "restore": ("daena-kms restore gone-token",),
    "doctor": ("daena-kms doctor", "daena-kms doctor --expect-every 7d --json"),
    "demo": ("daena-kms demo", "daena-kms demo --keep"),
    "audit log": (
        "daena-kms audit log --key app-token",
        "daena-kms audit log --since 2026-11-24T00:00:00Z --json",
    ),
    "audit verify": (
        "daena-kms audit verify",
        "daena-kms audit verify --log-only --json",
        "daena-kms audit verify handed-over",
    ),
    "audit seal": ("daena-kms audit seal",),
    "audit key": ("daena-kms audit key",),
    "audit export": ("daena-kms audit export handed-over",),
    "audit prove": (
        "daena-kms audit prove log/2026/11/24/15/RUN/000000.json --output one.tlog-proof",
    ),
}


def add_examples(app: typer.Typer, group: str = "") -> None:
    """Add the examples to the help of every command of ``app`` that has some."""
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        lines = EXAMPLES.get(f"{group} {name}".strip(), ())
        # The mark keeps the lines as they are: a command that is wrapped can't be copied.
        text = "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
        command.epilog = text if lines else None
    for inner in app.registered_groups:
        add_examples(inner.typer_instance or typer.Typer(), str(inner.name))
