"""The prebuilt Function App in Microsoft's worker library: a run, an event, requests.

Arguments: the package, the folder of the worker library and its own needs. The environment is the
app's. The last line of output says what came of each and which of the package's files were loaded.
"""

import importlib
import json
import os
import sys
import types
from pathlib import Path

package, worker = (Path(argument) for argument in sys.argv[1:])
libraries = package / ".python_packages" / "lib" / "site-packages"
ROOT = Path(__file__).resolve().parents[2]

# The order of the real worker: the app and its libraries before those of the worker.
sys.path[:0] = [str(package), str(libraries)]
sys.path.append(str(worker))

# The driver is not in the package: of the source tree's modules, this folder's alone.
import daena_kms

for name in ("infra", "infra.local", "infra.local.azure"):
    driver = types.ModuleType(name)
    driver.__path__ = [str(ROOT.joinpath(*name.split(".")))]
    sys.modules[name] = driver
azure_worker = importlib.import_module("infra.local.azure.worker")


def ask(app: object, method: str, path: str, name: str = "http") -> int:
    """Return the status of an answer."""
    headers = {"x-ms-client-principal-id": "someone"}
    route = {"path": path} if name == "http" else {}
    request = azure_worker.Request(method, f"https://app/v1/{path}", headers, route, b"")
    return int(app.http(name, request).response.status)  # type: ignore[attr-defined] # FunctionApp


def main() -> None:
    """Run the app, and tell."""
    names = ("AZURE_", "DAENA_", "IDENTITY_", "APPLICATIONINSIGHTS_", "PYTHON_", "FUNCTIONS_")
    settings = {name: text for name, text in os.environ.items() if name.startswith(names)}
    with azure_worker.FunctionApp(package, settings) as app:
        told = {
            "functions": sorted(app.functions),
            "run": app.timer("scheduled").ok,
            "health": ask(app, "GET", "health", "health"),
            "plan": ask(app, "GET", "plan"),
            "rotated": ask(app, "POST", "keys/fresh-key/rotate"),
            "unknown": ask(app, "POST", "keys/no-such-key/rotate"),
            "package": str(Path(daena_kms.__file__).parent),
        }
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    told["loaded"] = sorted({file for file in files if file and file.startswith(str(package))})
    strange = [str(ROOT / "core"), str(worker)]
    told["outside"] = sorted({f for f in files if f and f.startswith(tuple(strange))})
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    os._exit(0)  # telemetry's threads have no end


main()
