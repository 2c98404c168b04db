"""Sends events to a webhook, signed as Standard Webhooks 1.0.0 specifies.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md;
the body is in the structured mode of
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
"""

import base64
import hashlib
import hmac
import http.client
import ssl
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime

from daena_kms.errors import ConfigError
from daena_kms.notify.base import Event, Then, Timing, Undelivered
from daena_kms.notify.endpoint import Endpoint
from daena_kms.notify.wire import Network, Wire

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

#: The 4xx statuses after which a retry may help.
_NOT_NOW = frozenset({408, 425, 429})
_GONE = 410
_OK, _MOVED, _REFUSED, _BROKEN, _END = 200, 300, 400, 500, 600
_LONGEST_WAIT = 9


def sign(secrets: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header ``webhook-signature``, which holds a signature with each secret."""
    signed = b".".join((message_id.encode("ascii"), str(timestamp).encode("ascii"), body))
    digests = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode('ascii')}" for digest in digests)


class Webhook:
    """A sink that posts each event to an endpoint, over one connection as long as that lasts."""

    def __init__(
        self, endpoint: Endpoint, timing: Timing | None = None, network: Network | None = None
    ) -> None:
        self._endpoint = endpoint
        self._timing = timing or Timing()
        self._wire = Wire(endpoint, network or Network())

    def send(self, event: Event, within: float) -> None:
        """Post one event. The timestamp is that of this try; the id is the event's own."""
        end = self._timing.monotonic() + within
        body = event.encode()
        timestamp = int(self._timing.wall())
        headers = {
            "User-Agent": "daena-kms",
            "Content-Type": CONTENT_TYPE,
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._endpoint.secrets, event.id, timestamp, body),
        }

        def left() -> float:
            seconds = end - self._timing.monotonic()
            if seconds <= 0:
                raise TimeoutError
            return seconds

        try:
            status, after = self._wire.post(body, headers, left)
        except ConfigError as error:
            raise Undelivered(str(error), Then.STOP) from None
        except ssl.SSLCertVerificationError as error:
            raise Undelivered(f"its certificate: {error.verify_message}", Then.STOP) from None
        except (OSError, http.client.HTTPException) as error:
            # Its text may quote what the receiver sent.
            raise Undelivered(f"no answer ({type(error).__name__})", Then.RETRY) from None
        then = _judge(status)
        if then is not None:
            why = f"it answered {status}"
            raise Undelivered(why, then, after=_seconds(after, self._timing.wall()))

    def close(self) -> None:
        """End the connection."""
        self._wire.close()


def _judge(status: int) -> Then | None:
    """Return what to do after a status; ``None`` if the event was delivered."""
    if _OK <= status < _MOVED:
        return None
    if status in _NOT_NOW or _BROKEN <= status < _END:
        return Then.RETRY
    if _REFUSED <= status < _BROKEN and status != _GONE:
        return Then.NEXT
    # A redirect leads to an address that nobody has checked; 410 asks for no more events.
    return Then.STOP if status >= _MOVED else Then.RETRY


def _seconds(after: str | None, now: float) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3), or ``None``."""
    text = (after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_LONGEST_WAIT])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - now)
