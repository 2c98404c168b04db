"""The rules for a secret's metadata, each from the comments on the client's own types.

Where the service was seen to do something else, that counts: *measured* is
github.com/kmoneil/zig-gcp, ``src/secret_manager/fake_secrets.zig`` and ``docs/secret-manager``,
which say what production answered on 2 October 2026. What neither settles is as strict as any
reading of the types allows, and says so.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta

from google.cloud.secretmanager_v1.types import Replication, Rotation
from google.cloud.secretmanager_v1.types import Secret as SecretMessage

from infra.local.gcp.names import Parent, invalid, precondition
from infra.local.gcp.state import Secret

SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
MAX_LABELS, MAX_LABEL_LENGTH, MAX_KEY_BYTES = 64, 63, 128
ANNOTATION_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
MAX_ANNOTATION_BYTES = 16 * 1024
ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
MAX_ALIASES = 50
RESERVED_ALIASES = frozenset({"latest", "NEW"})
TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
MAX_TOPICS = 10
KMS_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
CENTURY = timedelta(seconds=3_153_600_000)
LEAST_LIFE = timedelta(minutes=1)
LEAST_ROTATION_AHEAD, LEAST_ROTATION_PERIOD = timedelta(minutes=5), timedelta(hours=1)
DESTROY_TTL = (timedelta(days=1), timedelta(days=1000))


def check_secret_id(secret_id: str) -> None:
    """Refuse what is no id of a secret."""
    if not SECRET_ID.fullmatch(secret_id):
        raise invalid(f"Secret ID [{secret_id}] must match the pattern {SECRET_ID.pattern}.")


def labels(given: Mapping[str, str]) -> dict[str, str]:
    r"""Check labels: keys ``[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}``, values as what follows."""
    if len(given) > MAX_LABELS:
        raise invalid(f"No more than {MAX_LABELS} labels can be assigned to a resource.")
    for key, value in given.items():
        if not _is_label(key) or not key or not _letter(key[0]):
            raise invalid(f"The label key [{key}] is not valid.")
        if not _is_label(value):
            raise invalid(f"The value of the label [{key}] is not valid.")
    return dict(given)


def annotations(given: Mapping[str, str]) -> dict[str, str]:
    """Check annotations.

    The types say that a key is shorter than 64 characters, and that all keys and values are less
    than 16 KiB. Measured: 64 characters and 16,384 bytes are taken.
    """
    for key in given:
        if not ANNOTATION_KEY.fullmatch(key):
            raise invalid(f"The annotation key [{key}] is not valid.")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in given.items())
    if size > MAX_ANNOTATION_BYTES:
        raise invalid("Annotation map must not exceed 16kib.")
    return dict(given)


def aliases(given: Mapping[str, int], secret: Secret) -> dict[str, int]:
    """Check aliases: names, number, and that each leads to a version, destroyed or not.

    Measured, with the refusal's words: k8s-config-connector, ``mockgcp/mocksecretmanager``, and
    the live answers that users quote, have the same ones.
    """
    if len(given) > MAX_ALIASES:
        raise invalid(f"No more than {MAX_ALIASES} aliases can be assigned to a secret.")
    for alias, number in given.items():
        if not ALIAS.fullmatch(alias) or alias in RESERVED_ALIASES:
            raise invalid(f"The version alias [{alias}] is not valid.")
        if number not in secret.versions:
            raise invalid("Aliases cannot be assigned to versions that don't exist")
    return dict(given)


def topics(given: list[str]) -> list[str]:
    """Check topics: at most ten, each by its full name."""
    if len(given) > MAX_TOPICS or len(set(given)) < len(given):
        raise invalid(f"A secret can have up to {MAX_TOPICS} topics, each one once.")
    for topic in given:
        if not TOPIC.fullmatch(topic):
            raise invalid(f"The topic [{topic}] is not valid.")
    return given


def expiry(message: SecretMessage, now: datetime) -> datetime | None:
    """Return when the secret will expire: at the time given, or after the TTL given."""
    when: datetime
    if "ttl" in message:
        when = now + message.ttl
    elif "expire_time" in message:
        when = message.expire_time
    else:
        return None
    if not now + LEAST_LIFE <= when <= now + CENTURY:  # measured
        raise invalid("The expiration must be at least 1 minute ahead and within 100 years.")
    return when


def rotation(given: Rotation, now: datetime) -> tuple[datetime | None, timedelta | None]:
    """Return the next time and the period of rotation notifications."""
    upcoming = given.next_rotation_time if "next_rotation_time" in given else None
    period = given.rotation_period if "rotation_period" in given else None
    if period is not None and upcoming is None:  # measured: the one refusal of this kind
        raise precondition("Next rotation time must be set while the rotation period is set.")
    if period is not None and not LEAST_ROTATION_PERIOD <= period <= CENTURY:
        raise invalid("rotation.rotation_period must be at least 1 hour and at most 100 years.")
    if upcoming is not None and not now + LEAST_ROTATION_AHEAD <= upcoming <= now + CENTURY:
        raise invalid("rotation.next_rotation_time must be at least 5 minutes in the future.")
    return upcoming, period


def destroy_ttl(message: SecretMessage) -> timedelta | None:
    """Return how long a version stays recoverable after the call that destroys it."""
    ttl: timedelta | None = message.version_destroy_ttl
    # "For secret with TTL>0": nothing and zero both mean that destruction is immediate.
    if not ttl:
        return None
    least, most = DESTROY_TTL
    if not least <= ttl <= most:
        raise invalid("version_destroy_ttl must be from 24 hours to 1000 days.")
    return ttl


def replication(message: SecretMessage, parent: Parent) -> Replication | None:
    """Check where the payload is replicated to: said of a global secret, never of a regional one.

    Keys of an automatic policy are in ``global``, those of a replica in the replica's location.
    """
    given: Replication = message.replication
    if parent.location is not None:
        if "replication" in message:
            raise invalid("A regional secret has no replication policy.")
        return None
    if "automatic" in given:
        key = given.automatic.customer_managed_encryption.kms_key_name
        check_key(key, "global", required="customer_managed_encryption" in given.automatic)
        return given
    if "user_managed" not in given or not given.user_managed.replicas:
        raise invalid("secret.replication is required: automatic, or with at least one replica.")
    replicas = list(given.user_managed.replicas)
    places = {replica.location for replica in replicas}
    if len(places) < len(replicas) or "" in places:
        raise invalid("Each replica has a location of its own.")
    encrypted = ["customer_managed_encryption" in replica for replica in replicas]
    if len(set(encrypted)) > 1:
        raise invalid("Either all replicas have customer-managed encryption or none.")
    for replica, required in zip(replicas, encrypted, strict=True):
        check_key(
            replica.customer_managed_encryption.kms_key_name, replica.location, required=required
        )
    return given


def cmek(message: SecretMessage, parent: Parent) -> str | None:
    """Check a regional secret's own key; a global one's keys are in its replication."""
    if "customer_managed_encryption" not in message:
        return None
    if parent.location is None:
        raise invalid("secret.customer_managed_encryption is for regional secrets.")
    key: str = message.customer_managed_encryption.kms_key_name
    check_key(key, parent.location, required=True)
    return key


def check_key(key: str, location: str, *, required: bool) -> None:
    """Refuse a key that has no full name, or is elsewhere."""
    if not required and not key:
        return
    match = KMS_KEY.fullmatch(key)
    if match is None or match[1] != location:
        raise invalid(f"The KMS key must have its full name and be in the location {location}.")


def _letter(character: str) -> bool:
    return unicodedata.category(character) in ("Ll", "Lo")


def _is_label(text: str) -> bool:
    return (
        len(text) <= MAX_LABEL_LENGTH
        and len(text.encode()) <= MAX_KEY_BYTES
        and all(_letter(c) or c in "_-" or unicodedata.category(c).startswith("N") for c in text)
    )
