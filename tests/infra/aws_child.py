"""The Lambda package alone: runs, requests, and what fails on the way.

Arguments: the package, and how many of the keys ``key-0``, ``key-1``, … there are. The environment
is the function's. The last line of output says what came of it, and which of the package's files
were loaded or read.
"""

import importlib
import json
import sys
from pathlib import Path

package = Path(sys.argv[1])
read: set[str] = set()


def notice(event: str, arguments: tuple[object, ...]) -> None:
    """Note the package's files that are opened."""
    if event == "open" and str(arguments[0]).startswith(str(package)):
        read.add(str(arguments[0]))


sys.addaudithook(notice)
sys.path.insert(0, str(package))
handler = importlib.import_module("handler")


class Context:
    """What Lambda hands to a handler."""

    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:daena-kms"

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may run yet."""
        return 300_000


def ask(method: str, path: str) -> int:
    """Return the status of an answer."""
    caller = {"iam": {"userArn": "arn:aws:iam::123456789012:user/operator"}}
    context = {"http": {"method": method, "path": path}, "authorizer": caller}
    return int(handler.http({"rawPath": path, "requestContext": context}, Context())["statusCode"])


told = {
    "rotated": handler.scheduled({}, Context())["rotated"],
    "health": ask("GET", "/v1/health"),
    "plan": ask("GET", "/v1/plan"),
    "by name": [ask("POST", f"/v1/keys/key-{n}/rotate") for n in range(int(sys.argv[2]))],
    "unknown": ask("POST", "/v1/keys/no-such-key/rotate"),
}
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
told["loaded"] = sorted({file for file in files if file and file.startswith(str(package))})
told["outside"] = sorted(
    {f for f in files if f and "site-packages" in f and not f.startswith(str(package))}
)
told["read"] = sorted(read)
sys.stdout.write(json.dumps(told) + "\n")
