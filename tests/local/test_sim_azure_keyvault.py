"""The simulated vault's values, properties and limits, through the official SDK."""

import re
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from infra.local.azure.auth import VAULT_AUDIENCE
from infra.local.azure.secrets_state import Secret
from infra.local.azure.sim import AzureSimulator
from tests.local.azure_wire import API, answers, to_vault, token
from tests.local.conftest import START, value

DAY = timedelta(days=1)


def test_a_set_makes_a_version_that_is_the_newest_at_once(vault: SecretClient) -> None:
    """Versions are 32 hexadecimal digits; a read without one gets the newest, with one that."""
    first, second = value(), value()
    made = [vault.set_secret("key", text).properties.version or "" for text in (first, second)]
    assert all(re.fullmatch("[0-9a-f]{32}", version) for version in made)
    assert made[0] != made[1]
    found = vault.get_secret("key")
    assert (found.value, found.properties.version) == (second, made[1])
    assert vault.get_secret("key", made[0]).value == first
    assert found.id == f"{vault.vault_url}/secrets/key/{made[1]}"


def test_names_ignore_case_and_keep_their_first_form(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """Another spelling makes a version of the same secret, shown under the first one."""
    vault.set_secret("My-Key", value())
    made = vault.set_secret("MY-KEY", value())
    assert made.name == "My-Key"
    assert vault.get_secret("my-key").name == "My-Key"
    assert [found.name for found in vault.list_properties_of_secrets()] == ["My-Key"]
    assert len(azure.secrets.versions("my-key")) == 2


@pytest.mark.parametrize("name", ["a_b", "a.b", "ä", "a" * 128], ids=ascii)
def test_a_name_of_other_characters_or_length_is_refused(vault: SecretClient, name: str) -> None:
    """A name has 1 to 127 letters, digits and hyphens."""
    with answers(400, "BadParameter"):
        vault.set_secret(name, value())


def test_the_longest_name_is_taken(vault: SecretClient) -> None:
    """127 characters are a name."""
    assert vault.set_secret("a" * 127, value()).name == "a" * 127


def test_a_set_keeps_nothing_of_the_version_before(vault: SecretClient) -> None:
    """Tags, dates and content type belong to a version, and are set anew or are not there."""
    vault.set_secret(
        "key", value(), tags={"a": "b"}, content_type="text", expires_on=START + DAY, enabled=True
    )
    new = vault.set_secret("key", value()).properties
    assert (new.tags, new.content_type, new.expires_on) == (None, None, None)
    assert new.enabled is True


def test_an_update_changes_what_is_given_and_all_tags(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """The value and what is not given stay; tags that are given replace the others."""
    text = value()
    made = vault.set_secret("key", text, tags={"a": "1", "b": "2"}, content_type="text")
    azure.shift_clock(seconds=60)
    dated = vault.update_secret_properties("key", expires_on=START + DAY)
    assert (dated.tags, dated.content_type) == ({"a": "1", "b": "2"}, "text")
    assert (dated.version, dated.expires_on) == (made.properties.version, START + DAY)
    assert (dated.created_on, dated.updated_on) == (START, START + timedelta(minutes=1))
    tagged = vault.update_secret_properties("key", tags={"c": "3"})
    assert (tagged.tags, tagged.expires_on) == ({"c": "3"}, START + DAY)
    assert vault.update_secret_properties("key", tags={}).tags is None
    assert vault.get_secret("key").value == text


def test_an_update_concerns_one_version(azure: AzureSimulator, vault: SecretClient) -> None:
    """With a version that one, without the newest."""
    old = vault.set_secret("key", value()).properties.version
    vault.set_secret("key", value())
    vault.update_secret_properties("key", old, tags={"on": "old"})
    vault.update_secret_properties("key", tags={"on": "new"})
    assert [version.tags["on"] for version in azure.secrets.versions("key")] == ["old", "new"]


def test_an_answer_to_an_update_has_no_value(azure: AzureSimulator, vault: SecretClient) -> None:
    """Only get and set return a value."""
    vault.set_secret("key", value())
    body = to_vault(azure, "PATCH", f"/secrets/key/?{API}", {"tags": {"a": "b"}}).json
    assert "value" not in body
    assert body["tags"] == {"a": "b"}


def test_dates_are_whole_seconds(azure: AzureSimulator, vault: SecretClient) -> None:
    """Attributes are integers on the wire, with what deleting means."""
    vault.set_secret("key", value(), not_before=START, expires_on=START + DAY)
    attributes = to_vault(azure, "GET", f"/secrets/key?{API}").json["attributes"]
    now = int(START.timestamp())
    assert attributes == {
        "enabled": True,
        "nbf": now,
        "exp": now + 86400,
        "created": now,
        "updated": now,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": 90,
    }


def test_a_version_may_not_expire_before_it_is_valid(vault: SecretClient) -> None:
    """Nothing is made, and nothing changed."""
    with answers(400, "BadParameter"):
        vault.set_secret("key", value(), not_before=START, expires_on=START)
    vault.set_secret("key", value(), not_before=START)
    with answers(400, "BadParameter"):
        vault.update_secret_properties("key", expires_on=START - DAY)
    assert vault.get_secret("key").properties.expires_on is None


def test_expired_and_not_yet_valid_versions_are_readable(vault: SecretClient) -> None:
    """Dates are for information only."""
    for valid, expires in ((None, START - DAY), (START + DAY, None)):
        text = value()
        vault.set_secret("key", text, not_before=valid, expires_on=expires)
        assert vault.get_secret("key").value == text


def test_a_disabled_version_is_not_readable(vault: SecretClient) -> None:
    """Nor is the secret without a version, if that is the newest; the other versions are."""
    old = vault.set_secret("key", value()).properties.version
    new = vault.set_secret("key", value(), enabled=False).properties.version
    for version in (None, new):
        with answers(403, "Forbidden", "SecretDisabled"):
            vault.get_secret("key", version)
    assert vault.get_secret("key", old).properties.enabled
    assert [found.enabled for found in vault.list_properties_of_secrets()] == [False]
    vault.update_secret_properties("key", enabled=True)
    assert vault.get_secret("key").properties.version == new


def test_what_is_not_there_is_not_found(vault: SecretClient) -> None:
    """A secret, or a version of one that is there; a word that is no version is refused."""
    with answers(404, "SecretNotFound"):
        vault.get_secret("key")
    with pytest.raises(ResourceNotFoundError):
        vault.update_secret_properties("key", enabled=False)
    vault.set_secret("key", value())
    with answers(404, "SecretNotFound"):
        vault.get_secret("key", "0" * 32)
    with answers(404, "SecretNotFound"):
        vault.update_secret_properties("key", "0" * 32, enabled=False)
    with answers(400, "BadParameter"):
        vault.get_secret("key", "latest")


@pytest.mark.parametrize(
    ("tags", "taken"),
    [
        ({str(n): "" for n in range(15)}, True),
        ({str(n): "" for n in range(16)}, False),
        ({"a" * 512: "b" * 512}, True),
        ({"a" * 513: "b"}, False),
        ({"a": "b" * 513}, False),
    ],
    ids=["15", "16", "long", "long name", "long value"],
)
def test_tags_are_bounded(vault: SecretClient, tags: dict[str, str], *, taken: bool) -> None:
    """At most 15, with names and values of at most 512 characters, in a set and in an update."""
    vault.set_secret("key", value())
    if taken:
        assert vault.set_secret("key", value(), tags=tags).properties.tags == tags
        assert vault.update_secret_properties("key", tags=tags).tags == tags
        return
    with answers(400, "BadParameter"):
        vault.set_secret("key", value(), tags=tags)
    with answers(400, "BadParameter"):
        vault.update_secret_properties("key", tags=tags)


@pytest.mark.parametrize("letter", ["a", "ä"], ids=ascii)
def test_a_value_is_bounded_in_bytes(vault: SecretClient, letter: str) -> None:
    """25 KB, in UTF-8."""
    most = letter * (25 * 1024 // len(letter.encode()))
    assert vault.set_secret("key", most).value == most
    with answers(400, "BadParameter"):
        vault.set_secret("key", most + letter)


def test_a_content_type_is_bounded(vault: SecretClient) -> None:
    """255 characters."""
    longest = "a" * 255
    assert vault.set_secret("key", value(), content_type=longest).properties.content_type == longest
    with answers(400, "BadParameter"):
        vault.set_secret("key", value(), content_type=longest + "a")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": None},
        {"value": 1},
        {"value": "", "tags": ["a"]},
        {"value": "", "tags": {"a": 1}},
        {"value": "", "attributes": {"enabled": "yes"}},
        {"value": "", "attributes": {"exp": 1.5}},
        {"value": "", "attributes": {"nbf": True}},
        {"value": "", "attributes": {"expires": 1}},
        {"value": "", "attributes": []},
        {"value": "", "tag": {}},
        [],
    ],
    ids=str,
)
def test_a_body_of_another_form_is_refused(azure: AzureSimulator, body: object) -> None:
    """A misspelt member, too, which the cloud would ignore."""
    answer = to_vault(azure, "PUT", f"/secrets/key?{API}", body)
    assert (answer.status, answer.json["error"]["code"]) == (400, "BadParameter")
    assert not azure.secrets.live


@pytest.mark.parametrize("query", ["", "?api-version=", "?api-version=1"])
def test_an_api_version_is_required(azure: AzureSimulator, query: str) -> None:
    """Every request names one."""
    assert to_vault(azure, "GET", f"/secrets{query}").status == 400


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/secrets/key"), ("GET", "/keys"), ("PUT", "/secrets/a/b")]
)
def test_other_requests_are_not_modelled(azure: AzureSimulator, method: str, path: str) -> None:
    """They are refused, and show in the call log as what they are."""
    assert to_vault(azure, method, f"{path}?{API}").status == 405
    assert azure.calls.operations() == ["NotModelled"]


def test_a_secret_of_a_certificate_is_not_for_us(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """It is listed as managed by Key Vault, readable, and refuses every change."""
    azure.secrets.add_version("cert", value())
    kid = f"{azure.vault_url}/keys/cert/{'0' * 32}"
    azure.secrets.put(Secret("cert", azure.secrets.secret("cert").versions, kid))
    for call in (
        lambda: vault.set_secret("cert", value()),
        lambda: vault.update_secret_properties("cert", enabled=False),
        lambda: vault.begin_delete_secret("cert"),
    ):
        with answers(403, "Forbidden", "SecretManagedByKeyVault"):
            call()
    (listed,) = vault.list_properties_of_secrets()
    assert (listed.managed, listed.key_id) == (True, None)
    assert vault.get_secret("cert").properties.key_id == kid


def test_answers_carry_the_services_headers(azure: AzureSimulator) -> None:
    """A request id, the caller's own, region and version; an error in the documented form."""
    headers = token(azure, VAULT_AUDIENCE) | {"x-ms-client-request-id": "mine"}
    answer = to_vault(azure, "GET", f"/secrets/key?{API}", headers=headers)
    assert answer.headers["x-ms-client-request-id"] == "mine"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers.keys() >= {
        "x-ms-request-id",
        "x-ms-keyvault-region",
        "x-ms-keyvault-service-version",
    }
    assert answer.json["error"].keys() == {"code", "message"}
