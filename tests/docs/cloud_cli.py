"""The clouds' own programs as far as the documents use them: ``aws``, ``az`` and ``gcloud``.

``aws`` is the SDK's own description of the services: an operation or parameter that does not exist,
or a value of a wrong form, is refused; KMS is really called, at AWS_ENDPOINT_URL. ``az`` and
``gcloud`` know the commands below alone, and answer what the variables in the table say.
"""

import importlib
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

#: Each command with its options, and the variable of the stand-in that it answers with.
KNOWN: dict[str, tuple[str, str | None]] = {
    "az login": ("", None),
    "az group create": ("name location", None),
    "az keyvault create": (
        "name resource-group location enable-rbac-authorization enable-purge-protection",
        None,
    ),
    "az keyvault show": ("name query output", "STAND_IN_VAULT"),
    "az storage account create": (
        "name resource-group location allow-blob-public-access min-tls-version",
        None,
    ),
    "az storage account show": ("name query output", "STAND_IN_SCOPE"),
    "az storage container create": ("account-name name auth-mode", None),
    "az ad signed-in-user show": ("query output", "STAND_IN_PERSON"),
    "az role assignment create": ("assignee role scope", None),
    "gcloud auth application-default login": ("", None),
    "gcloud config get-value project": ("", "STAND_IN_PROJECT"),
    "gcloud services enable": ("", None),
    "gcloud storage buckets create": (
        "location uniform-bucket-level-access public-access-prevention retention-period",
        None,
    ),
}


def main() -> None:
    """Do one command, or end with 2 as these programs do."""
    program, words = Path(sys.argv[0]).name, sys.argv[1:]
    line = shlex.join([program, *words])
    if program == "aws":
        aws(words)
        return
    for command, (options, answer) in KNOWN.items():
        if re.match(rf"{command}(?: |$)", line):
            given = re.findall(r"(?<= )--([a-z-]+)", line)
            if set(given) <= set(options.split()):
                print(os.environ[answer] if answer else "")  # noqa: T201 - a program's answer
                return
    sys.exit(f"not known: {line}")


def aws(words: list[str]) -> None:
    """Call an operation as the AWS command line would."""
    from botocore import xform_name
    from botocore.session import Session

    service, command, *rest = words
    session = Session()
    name = "s3" if service == "s3api" else service
    client: Any = session.create_client(name, region_name=os.environ["AWS_REGION"])
    operation = next(o for o in client.meta.service_model.operation_names if _dashed(o) == command)
    model = client.meta.service_model.operation_model(operation)
    members = {_dashed(member): member for member in model.input_shape.members}
    query, given = None, {}
    while rest:
        option = rest.pop(0).removeprefix("--")
        if option == "query":
            query = rest.pop(0)
        elif option == "output":
            rest.pop(0)
        else:
            shape = model.input_shape.members[members[option]]
            boolean = shape.type_name == "boolean"
            given[members[option]] = True if boolean else _value(shape, rest.pop(0))
    if service == "s3api":  # the simulated bucket is there; what is asked for must make sense
        client.meta.events.register("before-call.s3", lambda **_: (_Done(), {}))
    answer = getattr(client, xform_name(operation))(**given)
    if query:
        search: Any = importlib.import_module("jmespath").search  # comes with botocore, untyped
        sys.stdout.write(f"{search(query, answer)}\n")


class _Done:
    """An answer that nobody gave."""

    status_code = 200


def _dashed(name: str) -> str:
    from botocore import xform_name

    return str(xform_name(name, "-"))


def _value(shape: Any, text: str) -> object:
    if shape.type_name == "structure":
        return json.loads(text) if text.startswith("{") else dict(p.split("=") for p in [text])
    return text


if __name__ == "__main__":
    main()
