"""Secret Manager's rules for a secret's existence, place, keys and updates."""

import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from google.cloud.secretmanager_v1.types import SecretPayload

from infra.local.gcp.sim import PROJECT_NUMBER, GcpSimulator
from tests.local.gcp_calls import (
    AUTOMATIC,
    HERE,
    START,
    Gcp,
    create,
    gcp,
    name,
    numbered,
    refused,
)

__all__ = ["gcp"]

REGION = "europe-west3"
KEYS = "projects/p/locations/{}/keyRings/r/cryptoKeys/k"


def test_answers_name_the_project_by_its_number(gcp: Gcp) -> None:
    """A request may have the project's id or number; every answer has the number."""
    assert gcp.create("key").name == numbered("key")
    assert gcp.client.get_secret(name=numbered("key")).name == numbered("key")
    assert gcp.add("key").name == numbered("key", 1)
    (listed,) = gcp.client.list_secrets(parent=HERE)
    assert listed.name == numbered("key")


def test_a_new_secret_has_no_version(gcp: Gcp) -> None:
    """Creating makes the container alone; what was given is what is read."""
    made = gcp.create("key", labels={"a": "b"}, annotations={"daena.managed": "true"})
    assert made == gcp.get("key")
    assert (dict(made.labels), dict(made.annotations)) == ({"a": "b"}, {"daena.managed": "true"})
    assert made.create_time == START
    assert not gcp.sim.secrets["key"].versions
    with refused(NotFound):
        gcp.access("key", "latest")


def test_a_secret_is_created_once(gcp: Gcp) -> None:
    """The second one is told that the name is taken, and changes nothing."""
    made = gcp.create("key")
    with refused(AlreadyExists, "already exists"):
        gcp.create("key", labels={"a": "b"})
    assert gcp.get("key") == made


def test_a_deleted_secret_is_gone_for_good(gcp: Gcp) -> None:
    """Deletion is final; a new secret of that name has no past."""
    gcp.create("key")
    for _ in range(2):
        gcp.add("key")
    gcp.client.delete_secret(name=name("key"))
    with refused(NotFound):
        gcp.get("key")
    with refused(NotFound):
        gcp.client.delete_secret(name=name("key"))
    gcp.create("key")
    assert gcp.add("key").name == numbered("key", 1)


@pytest.mark.parametrize("secret_id", ["", "a" * 256, "a.b", "a b", "ä"])
def test_a_secret_id_has_letters_digits_hyphens_and_underscores(gcp: Gcp, secret_id: str) -> None:
    """Up to 255 of them; anything else is refused."""
    with refused(InvalidArgument):
        gcp.create(secret_id)
    gcp.create("A-z_0" * 51)


def test_another_project_is_denied(gcp: Gcp) -> None:
    """A project that is not ours may not exist, and the answer does not tell."""
    with refused(PermissionDenied, "may not exist"):
        gcp.client.get_secret(name="projects/another/secrets/key")
    with refused(PermissionDenied):
        list(gcp.client.list_secrets(parent="projects/210987654321"))


@pytest.mark.parametrize(
    "bad", ["secrets/key", f"{HERE}/secrets", f"{HERE}/secrets/key/versions/1"]
)
def test_a_name_of_another_form_is_refused(gcp: Gcp, bad: str) -> None:
    """A method takes names of its own resource only."""
    with refused(InvalidArgument):
        gcp.client.delete_secret(name=bad)


def test_a_global_secret_says_where_it_is_replicated(gcp: Gcp) -> None:
    """A policy is required: automatic, or some locations, each one once."""
    with refused(InvalidArgument, "replication is required"):
        create(gcp.client, HERE, "key")
    for replicas in ([], [{"location": ""}], [{"location": REGION}, {"location": REGION}]):
        with refused(InvalidArgument):
            gcp.create("key", replication={"user_managed": {"replicas": replicas}})
    made = gcp.create("key", replication={"user_managed": {"replicas": [{"location": REGION}]}})
    assert [r.location for r in made.replication.user_managed.replicas] == [REGION]


def test_a_regional_secret_has_its_own_endpoint(gcp: Gcp) -> None:
    """It is served where it is and nowhere else, and has no replication policy."""
    regional = gcp.sim.client(location=REGION)
    parent = f"{HERE}/locations/{REGION}"
    with refused(InvalidArgument):
        create(regional, parent, "key", replication={"automatic": {}})
    made = create(regional, parent, "key")
    assert made.name == f"projects/{PROJECT_NUMBER}/locations/{REGION}/secrets/key"
    assert regional.add_secret_version(parent=made.name, payload=SecretPayload(data=b"x")).name == (
        f"{made.name}/versions/1"
    )
    with refused(InvalidArgument, "endpoint"):
        gcp.client.get_secret(name=made.name)
    gcp.create("key")
    with refused(InvalidArgument, "endpoint"):
        regional.get_secret(name=name("key"))
    assert [s.name for s in regional.list_secrets(parent=parent)] == [made.name]
    assert [s.name for s in gcp.client.list_secrets(parent=HERE)] == [numbered("key")]
    assert gcp.sim.secrets[made.name].name == made.name


def test_a_simulator_can_be_at_home_in_a_region() -> None:
    """Its clients then mean the regional endpoint, and its state is found by the id there."""
    with GcpSimulator(location=REGION) as sim:
        made = create(sim.client(), f"{HERE}/locations/{REGION}", "key")
        assert sim.secrets["key"].name == made.name
        with refused(InvalidArgument, "endpoint"):
            create(sim.client(), HERE, "key", replication=AUTOMATIC)


def test_keys_of_our_own_encrypt_in_their_location(gcp: Gcp) -> None:
    """An automatic policy takes a global key, a replica one of its location, all or none."""

    def replica(location: str, key: str | None) -> dict[str, object]:
        encrypted = {"customer_managed_encryption": {"kms_key_name": key}} if key else {}
        return {"location": location, **encrypted}

    cmek = {"customer_managed_encryption": {"kms_key_name": KEYS.format("global")}}
    gcp.create("automatic", replication={"automatic": cmek})
    status = gcp.add("automatic").replication_status.automatic.customer_managed_encryption
    assert status.kms_key_version_name.startswith(KEYS.format("global") + "/cryptoKeyVersions/")
    wrong = {"customer_managed_encryption": {"kms_key_name": KEYS.format(REGION)}}
    with refused(InvalidArgument):
        gcp.create("key", replication={"automatic": wrong})
    for second in (None, KEYS.format(REGION), "k"):
        both = [replica(REGION, KEYS.format(REGION)), replica("us-east1", second)]
        with refused(InvalidArgument):
            gcp.create("key", replication={"user_managed": {"replicas": both}})
    with refused(InvalidArgument, "regional"):
        gcp.create("key", **cmek)


def test_a_regional_secret_has_a_key_of_its_region(gcp: Gcp) -> None:
    """Its key is the secret's own, can be changed, and serves the versions added after that."""
    regional = gcp.sim.client(location=REGION)
    parent, key = f"{HERE}/locations/{REGION}", KEYS.format(REGION)
    made = create(regional, parent, "key", customer_managed_encryption={"kms_key_name": key})
    first = regional.add_secret_version(parent=made.name, payload=SecretPayload(data=b"x"))
    assert first.customer_managed_encryption.kms_key_version_name == f"{key}/cryptoKeyVersions/1"
    for wrong in ("global", "us-east1"):
        elsewhere = {"kms_key_name": KEYS.format(wrong)}
        with refused(InvalidArgument, "KMS key"):
            create(regional, parent, "other", customer_managed_encryption=elsewhere)
    update = {"name": made.name, "customer_managed_encryption": {"kms_key_name": key + "2"}}
    changed = regional.update_secret(
        request={"secret": update, "update_mask": {"paths": ["customer_managed_encryption"]}}
    )
    assert changed.customer_managed_encryption.kms_key_name == key + "2"
    again = regional.get_secret_version(name=first.name)
    assert again.customer_managed_encryption.kms_key_version_name == f"{key}/cryptoKeyVersions/1"


def test_keys_can_change_but_places_cannot(gcp: Gcp) -> None:
    """An update of the replication may change its keys, not the policy."""
    gcp.create("key")
    cmek = {"customer_managed_encryption": {"kms_key_name": KEYS.format("global")}}
    changed = gcp.update("key", replication={"automatic": cmek})
    assert changed.replication.automatic.customer_managed_encryption.kms_key_name
    with refused(InvalidArgument, "cannot be changed"):
        gcp.update("key", replication={"user_managed": {"replicas": [{"location": REGION}]}})


def test_an_update_changes_what_its_mask_names(gcp: Gcp) -> None:
    """A map in the mask is replaced as a whole; what is not in the mask stays, given or not."""
    gcp.create("key", labels={"a": "1", "b": "2"}, annotations={"x": "1"})
    changed = gcp.client.update_secret(
        request={
            "secret": {"name": name("key"), "labels": {"a": "3"}, "annotations": {"y": "1"}},
            "update_mask": {"paths": ["labels"]},
        }
    )
    assert (dict(changed.labels), dict(changed.annotations)) == ({"a": "3"}, {"x": "1"})
    assert dict(gcp.update("key", annotations={}).annotations) == {}


@pytest.mark.parametrize("paths", [None, ["labels.a"], ["*"], ["bogus", "labels"]])
def test_an_update_needs_a_mask_that_can_be_updated(gcp: Gcp, paths: list[str] | None) -> None:
    """No mask and unknown fields are refused."""
    made = gcp.create("key")
    mask = None if paths is None else {"paths": paths}
    with refused(InvalidArgument, "mask"):
        gcp.client.update_secret(request={"secret": {"name": name("key")}, "update_mask": mask})
    assert gcp.get("key") == made


@pytest.mark.parametrize("paths", [[], ["name"], ["create_time", "etag"]])
def test_a_mask_without_a_field_to_change_moves_the_etag(gcp: Gcp, paths: list[str]) -> None:
    """Nothing else becomes what is given."""
    made = gcp.create("key")
    wanted = {"name": name("key"), "labels": {"a": "1"}}
    after = gcp.client.update_secret(request={"secret": wanted, "update_mask": {"paths": paths}})
    assert (dict(after.labels), after.etag == made.etag) == ({}, False)


def test_a_refused_update_changes_nothing(gcp: Gcp) -> None:
    """One bad field keeps the good ones from being changed too."""
    made = gcp.create("key")
    with refused(InvalidArgument):
        gcp.update("key", annotations={"a": "1"}, labels={"A": ""})
    assert gcp.get("key") == made


def test_an_etag_guards_update_and_delete(gcp: Gcp) -> None:
    """Another etag than the stored one fails, whatever the mask says; none is not checked."""
    made = gcp.create("key")
    assert made.etag.startswith('"')
    changed = gcp.update("key", etag=made.etag, annotations={"a": "1"})
    assert changed.etag != made.etag
    for stale in (made.etag, changed.etag.strip('"')):
        with refused(FailedPrecondition, "etag"):
            gcp.update("key", etag=stale, annotations={"a": "2"})
        with refused(FailedPrecondition, "etag"):
            gcp.client.delete_secret(request={"name": name("key"), "etag": stale})
    assert dict(gcp.update("key", labels={"b": ""}).annotations) == {"a": "1"}
    gcp.client.delete_secret(request={"name": name("key"), "etag": gcp.get("key").etag})


def test_an_update_that_changes_nothing_changes_the_etag(gcp: Gcp) -> None:
    """The intent counts: whoever read before it must read again."""
    made = gcp.create("key", labels={"a": "1"})
    assert gcp.update("key", labels={"a": "1"}).etag != made.etag


def test_versions_leave_the_secrets_etag_alone(gcp: Gcp) -> None:
    """Adding and changing versions is no change of the secret, unless a test wants it to be."""
    made = gcp.create("key")
    gcp.add("key")
    gcp.client.disable_secret_version(name=name("key", 1))
    assert gcp.get("key").etag == made.etag
    gcp.sim.secrets.add_changes_etag = True
    gcp.add("key")
    assert gcp.get("key").etag != made.etag
