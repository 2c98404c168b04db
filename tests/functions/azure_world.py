"""The real Function App in Microsoft's worker library, beside a simulated vault and account."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit.reader import history
from daena_kms.rules.names import new_version_id
from daena_kms.stores.azure.order import NAME

from infra.local.azure.sim import AzureSimulator
from infra.local.azure.worker import FunctionApp, Request, Response, Result
from tests.worlds.azure import AzureWorld

FOLDER = Path(__file__).parents[2] / "functions_azure"
SCHEDULE = "0 7 * * * *"
MANAGED = {"daena.managed": "true"}
VAULT = "localhost"


@dataclass
class AzureApp:
    """The app while it runs, and what it works on."""

    app: FunctionApp
    world: AzureWorld

    @property
    def sim(self) -> AzureSimulator:
        """The simulator."""
        return self.world.sim

    def secret(self, name: str, *, days: int = 0, **given: Any) -> str:
        """Make a secret of some age, and return its value. With our tag it is a key of ours."""
        value, age = secrets.token_urlsafe(24), timedelta(days=days)
        tags = dict(given.pop("tags", MANAGED))
        if "daena.managed" in tags:
            tags[NAME] = new_version_id(None, self.world.sim.secrets.now() - age)
        self.world.foreign(name, value, tags, age=age, **given)
        return value

    def fire(self, *, past_due: bool = False) -> Result:
        """Let the timer go off."""
        return self.app.timer("scheduled", past_due=past_due)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        name: str = "http",
    ) -> Response:
        """Ask the HTTP function, as the host does for a caller that it let through."""
        url = f"https://app.azurewebsites.net/v1/{path}"
        given = {"content-type": "application/json", **(headers or {})}
        request = Request(method, url, given, {"path": path} if name == "http" else {}, body)
        answer = self.app.http(name, request).response
        assert answer is not None
        return answer

    def expiring(self, name: str, **changes: object) -> Result:
        """Deliver Key Vault's event for a secret."""
        data = {
            "Id": f"https://{VAULT}/secrets/{name}/{'0' * 32}",
            "VaultName": VAULT,
            "ObjectType": "Secret",
            "ObjectName": name,
            "Version": "0" * 32,
        }
        event: dict[str, object] = {
            "id": "4711",
            "topic": f"/subscriptions/0/providers/Microsoft.KeyVault/vaults/{VAULT}",
            "subject": name,
            "eventType": "Microsoft.KeyVault.SecretNearExpiry",
            "eventTime": "2026-11-01T12:00:00Z",
            "data": data,
            "dataVersion": "1",
        }
        return self.app.event("expiring", event | changes)

    def history(self) -> list[dict[str, Any]]:
        """Return what the audit log says was done."""
        return list(history(self.app.module.services()[1]))


def runs(result: Result) -> list[dict[str, Any]]:
    """Return the lines in which a run was logged."""
    lines = [json.loads(r.getMessage()) for r in result.records if r.getMessage()[:2] == '{"']
    return [line for line in lines if line.get("event") == "run"]


@contextmanager
def azure_app(**settings: str) -> Iterator[AzureApp]:
    """Run the app with its managed identity, its vault and its account."""
    with AzureSimulator() as sim:
        world = AzureWorld(sim)
        given = {**world.environment, "DAENA_KMS_SCHEDULE": SCHEDULE, **settings}
        with FunctionApp(FOLDER, given) as app:
            yield AzureApp(app, world)
