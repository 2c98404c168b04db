"""Values on their way to Secret Manager and back: bytes with a checksum, and text."""

from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretPayload


def payload(data: bytes) -> dict[str, object]:
    """Return a value in the form in which a new version is sent: bytes with their checksum."""
    return {"data": data, "data_crc32c": checksum(data)}


def material_of(payload: "SecretPayload", key_id: str) -> str:
    """Return a payload as text.

    Raises:
        ConfigError: It is not text.
        StoreUnavailable: Its checksum is wrong.
    """
    data = bytes(payload.data)
    if payload.data_crc32c != checksum(data):
        msg = "its value arrived damaged"
        raise StoreUnavailable(msg, key_id=key_id, todo="Try again")
    text = data.decode(errors="replace")  # an error of decode() would hold the value
    if text.encode() != data:
        msg = "its content is binary, not text"
        raise ConfigError(msg, key_id=key_id, todo="Read it with Google's SDK")
    return text


def checksum(data: bytes) -> int:
    """Return the CRC-32C by which Secret Manager checks a payload."""
    import google_crc32c

    return int(google_crc32c.value(data))
