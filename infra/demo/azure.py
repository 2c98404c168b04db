"""The demo on Azure: the Function App in Microsoft's worker library, a vault, Blob Storage."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit.verify import verify
from daena_kms.cli.page import Page
from daena_kms.errors import ConfigError
from daena_kms.rules.names import new_version_id
from daena_kms.stores.azure.order import NAME

from infra.local.azure.azurite import Azurite
from infra.local.azure.worker import FunctionApp, Request, Result
from infra.local.simulator import SimulatorProcess

_KEYS = {"orders-encryption-key": 92, "session-signing-key": 120, "fresh-key": 0}
_APP = Path(__file__).parents[2] / "functions_azure"
_SCHEDULE = "0 7 * * * *"


def show(page: Page, folder: Path) -> None:
    """Show the Function App rotating keys of a vault on this machine."""
    del folder  # only the local clouds are written to
    with SimulatorProcess("azure") as cloud, Azurite() as storage:
        page.head("Azure: a vault that speaks Key Vault's protocol, Blob Storage, three secrets.")
        for container in ("audit", "claims"):
            storage.create_container(container)
        settings = {
            **cloud.environment,
            **storage.environment,
            "DAENA_KMS_AUDIT_URL": f"az://{storage.account}/audit",
            "DAENA_KMS_SCHEDULE": _SCHEDULE,
        }
        with FunctionApp(_APP, settings) as app:
            _, log = app.module.services()
            vault = _consumer(settings["AZURE_KEY_VAULT_URL"])
            _fill(cloud, vault)
            before = {key_id: vault.get_secret(key_id) for key_id in _KEYS}

            page.head("The function app, indexed by the library that runs it on Azure.")
            for function in app.functions.values():
                page.say(f"{function.name}: {function.trigger.type}")

            page.head("The timer goes off.")
            first = _summary(app.timer("scheduled"))
            page.say(
                f"rotated {', '.join(first['rotated'])}; {first['counts']['keys']} keys looked at"
            )
            page.check(
                "the two that were due are rotated, the fresh one is left alone",
                holds=first["rotated"] == ["orders-encryption-key", "session-signing-key"],
            )
            again = _summary(app.timer("scheduled", past_due=True))
            page.check("the timer that fires twice does nothing more", holds=not again["rotated"])

            page.head("One key on demand, by HTTP.")
            answer = app.http("http", _rotation("fresh-key")).response
            status = answer.status if answer is not None else None
            page.check("the fresh key is rotated as well", holds=status == _OK)

            page.head("A consumer reads with the SDK alone, as it always did.")
            old = before["orders-encryption-key"]
            new = vault.get_secret("orders-encryption-key")
            still = vault.get_secret("orders-encryption-key", old.properties.version)
            page.check("the new value simply is there", holds=new.value != old.value)
            page.check(
                "the old one can still be read by its version id", holds=still.value == old.value
            )

            report = verify(log)
            page.say(f"{report.objects} objects of {report.runs} runs in {log.url}")
            page.check("the audit log in the container verifies", holds=report.ok)


_OK = 200


def _consumer(url: str) -> Any:
    """Return a plain client of the SDK, as an application has one."""
    from azure.identity import ManagedIdentityCredential
    from azure.keyvault.secrets import SecretClient

    # The simulator's host is not one of Azure's, which the SDK would insist on.
    return SecretClient(url, ManagedIdentityCredential(), verify_challenge_resource=False)


def _fill(cloud: SimulatorProcess, vault: Any) -> None:
    """Make the secrets as daena-kms did, each of its age, with the vault's clock set back."""
    for key_id, days in _KEYS.items():
        age = timedelta(days=days)
        back = age.total_seconds()
        tags = {"daena.managed": "true", "daena.spec": "token"}
        tags[NAME] = new_version_id(None, datetime.now(UTC) - age)
        cloud.control("shift_clock", seconds=-back)
        vault.set_secret(key_id, f"made {days} days ago", tags=tags)
        cloud.control("shift_clock", seconds=back)


def _rotation(key_id: str) -> Request:
    body = json.dumps({"reason": "shown in the demo"}).encode()
    route = f"keys/{key_id}/rotate"
    url = f"https://app.azurewebsites.net/v1/{route}"
    return Request("POST", url, route={"path": route}, body=body)


def _summary(result: Result) -> Mapping[str, Any]:
    """Return the summary that the function logged of its run.

    Raises:
        ConfigError: the function failed.
    """
    if not result.ok:
        raise ConfigError(f"the function failed: {result.error}", todo=result.traceback or "")
    lines = (record.getMessage() for record in result.records)
    found = [json.loads(line) for line in lines if line.startswith('{"')]
    summary: Mapping[str, Any] = next(line for line in found if line.get("event") == "run")
    return summary
