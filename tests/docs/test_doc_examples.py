"""The guide's examples in Python run as they stand in the text, on each store that they name."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.operations import Operations

from tests.docs.guide import STORES, commands, examples, place, section, settled

#: What leads the clouds' own clients, which know no such setting, to the stand-ins.
LEADS = {
    "azure": """
import functools, azure.keyvault.secrets as sdk
sdk.SecretClient = functools.partial(sdk.SecretClient, verify_challenge_resource=False)
""",
    "gcp": """
import functools, grpc, os
from google.cloud import secretmanager as sdk
transport = sdk.SecretManagerServiceClient.get_transport_class("grpc")(
    channel=grpc.insecure_channel(os.environ["GCP_SECRET_MANAGER_ENDPOINT"])
)
sdk.SecretManagerServiceClient = functools.partial(
    sdk.SecretManagerServiceClient, transport=transport
)
""",
}


#: Runs each text by itself, after the SDKs were loaded once for all of them.
EACH = """
import json, sys
for code in json.loads(sys.argv[1]):
    exec(compile(code, "<example>", "exec"), {"__name__": "__main__"})
    print("<end>", flush=True)
"""


def lead(store: str, code: str) -> str:
    """Return what is to be run before an example."""
    return LEADS.get(store, "") if "daena_kms" not in code else ""


@pytest.mark.parametrize("store", STORES)
def test_the_examples_run_as_printed(store: str, tmp_path: Path) -> None:
    """Each by itself, after the quick start and with one encryption key more."""
    codes = [code for on, code in examples() if on == store]
    assert len(codes) >= 5
    with place(store, tmp_path) as found:
        where = settled(store, found)
        for command in (
            ("create", "app-token", "--spec", "token", "--rotate-after", "30d"),
            ("create", "app-encryption-key"),
            ("rotate", "app-token", "--reason", "first rotation"),
        ):
            assert where.run("daena-kms", *command).returncode == 0
        whole = json.dumps([lead(store, code) + code for code in codes])
        done = where.run(sys.executable, "-c", EACH, whole)
        read = where.run(sys.executable, "-c", f"{lead(store, codes[0])}{codes[0]}print(token)")
        value = where.run("daena-kms", "show", "app-token", "--reveal").stdout
        log = where.run("daena-kms", "audit", "log", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("<end>\n") == len(codes)
    # Not asserted of the texts themselves: a failure would print them.
    same = read.stdout == f"{value}\n"
    assert same
    printed = done.stdout
    assert "app-token nothing next due in" in printed
    assert re.search(r"^\['app-token'\] log/.*@sha256:", printed, flags=re.MULTILINE)
    assert "key-not-found no-such-key" in printed
    assert all(word in log.stdout for word in ("OPS-7", "OPS-8", "partner-token"))


def test_the_gate_fails_where_a_key_is_overdue(tmp_path: Path) -> None:
    """As printed: both commands pass on what is in order, the first fails on what is not."""
    gate = commands(section("### As a gate in CI"))
    assert len(gate) == 2
    script = " && ".join(gate)
    with place("local", tmp_path) as found:
        where = settled("local", found)
        create = ("daena-kms", "create", "app-token", "--rotate-after", "2d")
        assert where.run(*create).returncode == 0
        assert where.run("/bin/bash", "-c", script).returncode == 0
        adapter = LocalAdapter(where.environment["DAENA_KMS_HOME"])
        log = open_log(where.environment["DAENA_KMS_AUDIT_URL"])
        long_ago = datetime.now(UTC) - timedelta(days=3)
        Operations(adapter, log, now=long_ago).create(
            "old-token", tags={"daena.rotate-after": "2d"}
        )
        late = where.run("/bin/bash", "-c", script)

    assert late.returncode == 1
    assert "old-token" in late.stdout
