"""On Google Cloud: no change of a variable costs the audit log, a KMS key or the access to it.

Terraform's mocks don't know what a provider replaces, so that is written down here, from the
provider's source: ``ForceNew`` in google/services/storage/resource_storage_bucket.go, in kms/ and
in tpgiamresource/, alike in its versions 6.0, 6.50 and 7.45.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra.deployed import ROOT, TREE, Tree, folders

#: What holds the log, keys or the access to them, and the arguments that replace it.
REPLACED_BY = {
    "google_storage_bucket": ("name", "location", "project", "enable_object_retention"),
    "google_kms_crypto_key": ("name", "key_ring", "purpose", "destroy_scheduled_duration"),
    "google_kms_key_ring": ("name", "location", "project"),
    "google_kms_crypto_key_iam_member": ("crypto_key_id", "role", "member", "condition"),
}
#: It holds packages, which are built anew.
NOT_GUARDED = "google_storage_bucket.source"
GUARD = "    prevent_destroy = true\n"
MEMBER, CHANNEL = '"group:other@example.com"', '"projects/my-project/notificationChannels/2"'
EMAIL = "other@my-project.iam.gserviceaccount.com"

#: By the name of a run, variables of the module and other values for them.
CHANGES: dict[str, dict[str, str]] = {
    "settings": {
        "memory": '"1Gi"',
        "labels": '{ team = "other" }',
        "time_zone": '"Europe/Berlin"',
        "schedule": '"30 */2 * * *"',
        "expected_within_hours": "6",
        "min_interval": '"1h"',
        "rotate_after": '"30d"',
        "grace": '"never"',
        "destroy_after": '"60d"',
        "min_bits": "128",
        "paused": "true",
        "access": '"[]"',
        "http_policy": "true",
        "endpoint": '"https://hooks.example.com"',
        "endpoint_allow": '["10.0.0.7"]',
        "endpoint_secret": '"webhook"',
        "use_endpoint_secret": "true",
        "vpc_connector": '"projects/p/locations/l/connectors/c"',
        "vpc_egress": '"ALL_TRAFFIC"',
        "package_path": '"tests/fixtures/other.zip"',
        "build_service_account": f'"projects/my-project/serviceAccounts/{EMAIL}"',
        "create_build_service_account": "false",
        "create_service_identities": "true",
    },
    "people": {
        "http_callers": f"[{MEMBER}]",
        "http_caller_members": f"{{ other = {MEMBER} }}",
        "auditors": f"[{MEMBER}]",
        "auditor_members": f"{{ other = {MEMBER} }}",
        "notification_channels": f"[{CHANNEL}]",
        "http_changes": "true",
        "http_destroys": "true",
        "secret_id_prefixes": '["billing-", "checkout-"]',
        "kms_key_names": '["projects/p/locations/l/keyRings/r/cryptoKeys/k"]',
    },
    "every_secret": {
        "secret_id_prefixes": "[]",
        "all_secrets": "true",
        "secret_location": '"europe-west4"',
    },
    "less": {
        "http_enabled": "false",
        "events_enabled": "false",
        "enable_apis": "false",
        "audited_log_types": "[]",
    },
    "kept_for_longer": {"audit_retention_days": "800", "audit_retention_locked": "true"},
    "kept_for_less": {"audit_retention_days": "30"},
}
#: What would replace the bucket of the log, which the guard then stops.
FIXED = {
    "project_id": '"other-project"',
    "region": '"europe-west4"',
    "name": '"other-kms"',
    "audit_bucket_name": '"other-log"',
}
MODULE = {
    "project_id": '"my-project"',
    "region": '"europe-west1"',
    "package_path": '"tests/fixtures/package.zip"',
    "secret_id_prefixes": '["app-"]',
    # An apply would run a script, even with mocks.
    "create_service_identities": "false",
}
EXAMPLES: dict[str, dict[str, dict[str, str]]] = {
    "examples/gcp-minimal": {
        "start": {},
        "changes": {"secret_id_prefixes": '["billing-"]'},
    },
    "examples/gcp-production": {
        "start": {"alarm_email": '"one@example.com"'},
        "changes": {
            "secret_id_prefixes": '["billing-"]',
            "alarm_email": '"other@example.com"',
            "auditors": f"[{MEMBER}]",
            "on_call": f"[{MEMBER}]",
        },
    },
}
#: What an example has in common with the module that it calls.
SHARED = {"project_id", "region", "package_path"}


def _variables(folder: Path) -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.tf")]
    return {name for text in texts for name in re.findall(r'^variable "(\w+)"', text, re.MULTILINE)}


def _run(name: str, command: str, values: dict[str, str]) -> str:
    lines = "".join(f"    {variable} = {value}\n" for variable, value in values.items())
    return f'run "{name}" {{\n  command = {command}\n  variables {{\n{lines}  }}\n}}\n'


def _mocks(module: str) -> str:
    return (
        f'mock_provider "google" {{\n  source = "{module}/tests/mocks"\n}}\n'
        'mock_provider "time" {}\n'
    )


def _test(tree: Tree, folder: str, text: str) -> list[dict[str, Any]]:
    """Run one test in a folder of the copy; return Terraform's messages."""
    path = tree.path / folder / "tests" / "changes.tftest.hcl"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    tree.init(folder)
    found = tree.run(folder, "test", "-json", "-verbose", f"-filter=tests/{path.name}")
    return [json.loads(line) for line in found.stdout.splitlines()]


def _wrong(messages: list[dict[str, Any]]) -> list[str]:
    """Return the errors; a change of the schedule may be warned of."""
    return [
        f"{m['@message']} {m['diagnostic']['detail']}"
        for m in messages
        if m["type"] == "diagnostic" and m["diagnostic"]["severity"] == "error"
    ]


def _lost(messages: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return what each plan would replace or destroy, of what is guarded, by the plan's run."""
    return {
        m["@testrun"]: [
            change["address"]
            for change in m["test_plan"]["resource_changes"]
            if change["type"] in REPLACED_BY
            and not change["address"].endswith(NOT_GUARDED)
            and _is_lost(change["type"], change["change"])
        ]
        for m in messages
        if m["type"] == "test_plan"
    }


def _is_lost(kind: str, change: dict[str, Any]) -> bool:
    if "delete" in change["actions"]:
        return True
    before, after = change["before"], change["after"]
    changed = any(before.get(name) != after.get(name) for name in REPLACED_BY[kind])
    # A lock that the configuration takes back replaces the bucket: ForceNewIfChange there.
    return changed or (_is_locked(before) and not _is_locked(after))


def _is_locked(bucket: dict[str, Any]) -> bool:
    return any(policy["is_locked"] for policy in bucket.get("retention_policy") or [])


def _blocks(folder: Path) -> dict[str, str]:
    """Return the guarded resources of a folder, by address."""
    texts = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.tf"))
    found = re.findall(r'^resource "(\w+)" "(\w+)" \{$(.*?)^\}$', texts, re.MULTILINE | re.DOTALL)
    blocks = {f"{kind}.{name}": body for kind, name, body in found if kind in REPLACED_BY}
    return {address: body for address, body in blocks.items() if address != NOT_GUARDED}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the modules."""
    return Tree.copied(tmp_path_factory.mktemp("terraform") / "tree")


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy without the guards, at which a test of Terraform 1.11 would stop when it clears up."""
    tree = Tree.copied(tmp_path_factory.mktemp("unguarded") / "tree")
    for path in tree.path.glob("**/*.tf"):
        path.write_text(path.read_text().replace(GUARD, ""))
    fixtures = tree.path / "gcp" / "tests" / "fixtures"
    (fixtures / "other.zip").write_bytes(b"another package")
    return tree


def test_every_variable_is_tried() -> None:
    """A variable of the module is either tried here, or can't be changed and the README says so."""
    tried = {name for change in CHANGES.values() for name in change}
    assert tried.isdisjoint(FIXED)
    assert tried | set(FIXED) == _variables(TREE / "gcp")
    readme = (TREE / "gcp" / "README.md").read_text(encoding="utf-8")
    sentence = re.search(r"So (.*) can't be changed later", readme)
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) == set(FIXED)


@pytest.mark.parametrize("folder", EXAMPLES)
def test_every_variable_of_an_example_is_tried(folder: str) -> None:
    """What an example asks for beside what the module fixes is tried here."""
    assert set(EXAMPLES[folder]["changes"]) | SHARED == _variables(TREE / folder)


def test_no_change_loses_anything(unguarded: Tree) -> None:
    """From the applied defaults, no change replaces the log; what is fixed would."""
    runs = [_run("applied", "apply", {})]
    runs += [_run(name, "plan", change) for name, change in CHANGES.items()]
    runs += [_run(f"fixed_{name}", "plan", {name: value}) for name, value in FIXED.items()]
    runs.append(_run("locked", "apply", {"audit_retention_locked": "true"}))
    runs.append(_run("unlocked", "plan", {"audit_retention_locked": "false"}))
    start = "".join(f"  {name} = {value}\n" for name, value in MODULE.items())
    text = "".join([_mocks("."), f"variables {{\n{start}}}\n", *runs])
    messages = _test(unguarded, "gcp", text)
    assert _wrong(messages) == []
    lost = _lost(messages)
    assert {name for name in CHANGES if lost[name]} == set()
    stopped = {*(f"fixed_{name}" for name in FIXED), "unlocked"}
    assert lost.keys() == {*CHANGES, *stopped}
    assert {name: lost[name] for name in lost if lost[name]} == {
        name: ["google_storage_bucket.audit"] for name in stopped
    }


@pytest.mark.parametrize("folder", EXAMPLES)
def test_no_change_of_an_example_loses_anything(unguarded: Tree, folder: str) -> None:
    """Neither the log nor a KMS key is replaced by what an example lets people change."""
    main = unguarded.path / folder / "main.tf"
    text = main.read_text()
    if "create_service_identities" not in text:  # an apply would run a script, even with mocks
        call = 'module "daena_kms" {\n'
        main.write_text(text.replace(call, f"{call}  create_service_identities = false\n"))
    start = {"project_id": '"my-project"', "package_path": '"../../gcp/tests/fixtures/package.zip"'}
    start |= EXAMPLES[folder]["start"]
    given = "".join(f"  {name} = {value}\n" for name, value in start.items())
    parts = [_mocks("../../gcp"), f"variables {{\n{given}}}\n", _run("applied", "apply", {})]
    parts.append(_run("changed", "plan", EXAMPLES[folder]["changes"]))
    messages = _test(unguarded, folder, "".join(parts))
    assert _wrong(messages) == []
    assert _lost(messages)["changed"] == []


@pytest.mark.parametrize("folder", folders("gcp"))
def test_what_must_not_be_lost_is_guarded(folder: str) -> None:
    """Each resource that holds the log, a key or the access to it has the guard."""
    blocks = _blocks(TREE / folder)
    assert folder == "examples/gcp-minimal" or blocks
    assert [address for address, body in blocks.items() if GUARD not in body] == []


@pytest.mark.parametrize("folder", folders("gcp"))
def test_the_way_out_is_documented(folder: str) -> None:
    """docs/DEPLOY.md names each guarded resource as `terraform state rm` takes it."""
    guide = (ROOT / "docs" / "DEPLOY.md").read_text(encoding="utf-8")
    before = "module.daena_kms." if folder == "gcp" else ""
    assert [name for name in _blocks(TREE / folder) if f"{before}{name}" not in guide] == []


def test_a_destroy_is_refused_before_anything_is_destroyed(tree: Tree) -> None:
    """The guard stops the plan that removes the deployment."""
    folder = tree.path / "deployment"
    folder.mkdir()
    given = "".join(f"  {name} = {value}\n" for name, value in MODULE.items())
    given = given.replace('"tests/', '"../gcp/tests/')
    (folder / "main.tf").write_text(
        "terraform {\n  required_providers {\n"
        '    google = {\n      source = "hashicorp/google"\n    }\n'
        '    time = {\n      source = "hashicorp/time"\n    }\n  }\n}\n'
        'variable "deployed" {\n  type = bool\n  default = true\n}\n'
        'module "daena_kms" {\n  source = "../gcp"\n  count = var.deployed ? 1 : 0\n'
        f"{given}}}\n"
    )
    runs = [_run("applied", "apply", {}), _run("removed", "plan", {"deployed": "false"})]
    messages = _test(tree, "deployment", "".join([_mocks("../gcp"), *runs]))
    refused = [
        m["diagnostic"]
        for m in messages
        if m["type"] == "diagnostic" and m.get("@testrun") == "removed"
    ]
    assert [d["summary"] for d in refused] == ["Instance cannot be destroyed"]
    assert "module.daena_kms[0].google_storage_bucket.audit" in refused[0]["detail"]
