"""Which keys may be adopted or enrolled by a tag, and when such a key is first due. Pure."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta

from daena_kms.errors import ConfigError
from daena_kms.rules.model import Key
from daena_kms.rules.names import check_material
from daena_kms.rules.policy import MANAGED, SPEC

# How values that a third party issued begin. Only the issuer can make a new one that works.
_THIRD_PARTY = re.compile(
    r"gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk_(live|test)_|rk_(live|test)_|AKIA|ASIA|AIza"
    r"|ya29\.|SG\.|npm_|pypi-|dop_v1_|shp(at|ss|ca|pa)_|sk-(proj-|ant-)|hf_|eyJ[\w-]+\.eyJ"
    r"|-----BEGIN (CERTIFICATE|OPENSSH|PGP)"
)
_LEAST_DELAY = timedelta(hours=1)
#: A key that a run enrols because of its tags is not due for at least so long: time to take the
#: tag off again. An operator who adopts a key has chosen it; whoever sets a tag may have erred.
LEAST_DELAY_BY_TAG = timedelta(hours=24)
_HOUR = timedelta(hours=1)
#: What says in a content type that the value has a structure, or that only an issuer can make it.
_STRUCTURED = re.compile(
    r"json|xml|ya?ml|toml|csv|pkcs|pfx|pem\b|cert|octet|binary|zip|jwt|sas.?token|connection",
    re.IGNORECASE,
)
#: A media type other than text.
_MEDIA_TYPE = re.compile(r"(?!\s*text/)\s*[\w.+-]+/[\w.+-]+\s*(;.*)?", re.ASCII | re.IGNORECASE)

#: An enrolment names so many of the versions that the key has by then, the newest.
MAX_KNOWN = 1000


def known_versions(key: Key) -> tuple[str, ...]:
    """Return the ids of a key's versions, as its enrolment names them; at most the newest 1,000."""
    versions = key.versions
    if len(versions) > MAX_KNOWN:
        newest = sorted(versions, key=lambda version: version.created, reverse=True)
        versions = tuple(newest[:MAX_KNOWN])
    return tuple(version.id for version in versions)


def first_due(key_id: str, now: datetime, interval: timedelta) -> datetime:
    """Return when an adopted key is first due: a time from an hour to ``interval`` after ``now``.

    A hash of the key id chooses the time. So a thousand keys that are adopted in one night do not
    all come due in one night, nor do the two keys of a pair come due together. A key is also never
    due before its own version is ``interval`` old.
    """
    delay = _LEAST_DELAY + (interval - _LEAST_DELAY) * _fraction(key_id)
    return (now.astimezone(UTC) + delay).replace(microsecond=0)


def enrolment_hour(now: datetime) -> datetime:
    """Return the hour that stands for an enrolment by tag at ``now``.

    Runs that enrol a key at the same time write the same hour, and so the same result.
    """
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def first_due_by_tag(key_id: str, hour: datetime, interval: timedelta) -> datetime:
    """Return when a key that was enrolled by its tags is first due.

    Args:
        key_id: The key. A hash of it chooses the time, as in :func:`first_due`.
        hour: What :func:`enrolment_hour` returned when the key was enrolled.
        interval: The key's ``daena.rotate-after``.

    Returns:
        A time from 24 hours to ``interval`` after the enrolment. For a short interval, the time is
        spread over the following interval, or day.
    """
    least = LEAST_DELAY_BY_TAG + _HOUR  # counted from the beginning of the hour
    spread = max(interval - least, min(interval, LEAST_DELAY_BY_TAG - _HOUR))
    return (hour + least + spread * _fraction(key_id)).replace(microsecond=0)


def _fraction(key_id: str) -> float:
    return int.from_bytes(hashlib.sha256(key_id.encode()).digest()[:8]) / 2**64


def check_enrollable(key: Key) -> None:
    """Check what can be judged without the value of a key that carries only our tags.

    Raises:
        ConfigError: A run must not enrol it. The error names the command that does.
    """
    if key.enrolled:
        return
    command = f"Run: daena-kms adopt {key.id} --spec SPEC"
    if SPEC not in key.tags:
        msg = (
            f"it carries {MANAGED}=true and no {SPEC}, and daena-kms has neither created nor "
            "adopted it"
        )
        msg += f"; {key.trouble}" if key.trouble is not None else ""
        todo = f"{command}; or remove the tag {MANAGED}"
        raise ConfigError(msg, key_id=key.id, todo=todo)
    if key.unfit is not None:
        todo = f"{command}, which reads the value and checks it; or remove the tag {MANAGED}"
        raise ConfigError(key.unfit, key_id=key.id, todo=todo)


def unfit_content(content_type: str | None) -> str | None:
    """Return why a content type speaks against replacing the whole value, or ``None``.

    A content type is free text on Key Vault. Of media types only text can be a value of ours.
    """
    if not content_type:
        return None
    if _MEDIA_TYPE.fullmatch(content_type) or _STRUCTURED.search(content_type):
        return f"its content type is {content_type[:60]!r}, and a rotation would replace all of it"
    return None


def check_adoptable(material: str, key_id: str) -> None:
    """Check that a fresh value can replace this one.

    Raises:
        ConfigError: It can't.
    """
    check_material(material, key_id)
    if _THIRD_PARTY.match(material):
        msg = "its value was issued by a third party, and only the issuer can make a new one"
        raise ConfigError(msg, key_id=key_id, todo="Have its issuer rotate it")
    try:
        holds_json = isinstance(json.loads(material), (dict, list))
    except (ValueError, RecursionError):
        holds_json = material.lstrip().startswith(("{", "["))
    if holds_json:
        msg = "its value is JSON, and a rotation would replace all of it"
        raise ConfigError(msg, key_id=key_id, todo="Store the part to rotate in a key of its own")
