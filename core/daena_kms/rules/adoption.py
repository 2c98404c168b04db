"""Which values may be adopted, and when an adopted key is first due. Pure."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta

from daena_kms.errors import ConfigError
from daena_kms.rules.names import check_material

# How values that a third party issued begin. Only the issuer can make a new one that works.
_THIRD_PARTY = re.compile(
    r"gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk_(live|test)_|rk_(live|test)_|AKIA|ASIA|AIza"
    r"|ya29\.|SG\.|npm_|pypi-|dop_v1_|shp(at|ss|ca|pa)_|sk-(proj-|ant-)|hf_|eyJ[\w-]+\.eyJ"
    r"|-----BEGIN (CERTIFICATE|OPENSSH|PGP)"
)
_LEAST_DELAY = timedelta(hours=1)


def first_due(key_id: str, now: datetime, interval: timedelta) -> datetime:
    """Return when an adopted key is first due: a time from an hour to ``interval`` after ``now``.

    A hash of the key id chooses the time. So a thousand keys that are adopted in one night do not
    all come due in one night, nor do the two keys of a pair come due together. A key is also never
    due before its own version is ``interval`` old.
    """
    fraction = int.from_bytes(hashlib.sha256(key_id.encode()).digest()[:8]) / 2**64
    delay = _LEAST_DELAY + (interval - _LEAST_DELAY) * fraction
    return (now.astimezone(UTC) + delay).replace(microsecond=0)


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
