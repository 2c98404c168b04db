"""What a failed login to Google Cloud means: every class of google.auth, and what its text tells.

A test holds that there is a row for each class.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from daena_kms.errors import ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.errors import Meaning, wrong_clock

CREDENTIALS = (
    "Run as a service account, set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, "
    "or log in with gcloud auth application-default login"
)
NO_CREDENTIALS = Meaning(ConfigError, "no usable Google credentials ({name})", CREDENTIALS)
NO_FILE = Meaning(
    ConfigError,
    "no usable Google credentials ({name}): a file that they come from can't be read",
    f"Check the files that GOOGLE_APPLICATION_CREDENTIALS names. {CREDENTIALS}",
)
_MALFORMED = Meaning(
    ConfigError,
    "no usable Google credentials ({name}): their file has not the form of one",
    f"Download it again. {CREDENTIALS}",
)
_EXPIRED = Meaning(
    ConfigError,
    "no usable Google credentials ({name}): the login has expired or was revoked",
    "Run: gcloud auth application-default login",
)
_KEY_GONE = Meaning(
    ConfigError,
    "no usable Google credentials ({name}): the service account or its key does not exist any more",
    f"Use another key. {CREDENTIALS}",
)
_CERTIFICATE_FILE = Meaning(
    ConfigError,
    "no usable Google credentials ({name}): the client certificate can't be used",
    "Check GOOGLE_API_USE_CLIENT_CERTIFICATE and the certificate's configuration",
)
_AWAY = Meaning(
    StoreUnavailable,
    "Google's login service did not answer ({name})",
    "Check the network; the next run tries again",
)
_UNTRUSTED = Meaning(
    StoreUnavailable,
    "Google's login service did not answer ({name}): its certificate is not trusted",
    "Check REQUESTS_CA_BUNDLE, this machine's clock, and any proxy that opens TLS",
)

CLASSES: Mapping[str, Meaning] = {
    "GoogleAuthError": NO_CREDENTIALS,
    "DefaultCredentialsError": NO_CREDENTIALS,
    "RefreshError": NO_CREDENTIALS,
    "OAuthError": NO_CREDENTIALS,
    "InvalidResource": NO_CREDENTIALS,
    "InvalidOperation": NO_CREDENTIALS,
    "InvalidValue": _MALFORMED,
    "InvalidType": _MALFORMED,
    "MalformedError": _MALFORMED,
    "UserAccessTokenError": _EXPIRED,
    "ReauthFailError": _EXPIRED,
    "ReauthSamlChallengeFailError": _EXPIRED,
    "MutualTLSChannelError": _CERTIFICATE_FILE,
    "ClientCertError": _CERTIFICATE_FILE,
    "TransportError": _AWAY,
    "TimeoutError": _AWAY,
    "ResponseError": _AWAY,
    # google.auth's own, and Python's, which it lets through from files of every kind.
    "OSError": NO_FILE,
    "ValueError": _MALFORMED,
    "KeyError": _MALFORMED,
    "TypeError": _MALFORMED,
    "AttributeError": _MALFORMED,
}

#: Fixed words of Google's answers and of google.auth's own checks, in lower case.
#: https://cloud.google.com/iam/docs/troubleshoot-service-account-keys
_CLOCK = re.compile(
    r"reasonable timeframe|token used too early|token expired, |iat and exp|check your iat"
)
_TOLD = (
    (re.compile(r"invalid jwt signature|account not found|invalid_client"), _KEY_GONE),
    (re.compile(r"expired or revoked|invalid_rapt|reauth"), _EXPIRED),
    (re.compile(r"certificate_verify_failed|certificate verify failed"), _UNTRUSTED),
    (re.compile(r"file .{0,400} was not found|no such file"), NO_FILE),
)


def refused(
    error: BaseException, key_id: str | None = None, theirs: datetime | None = None
) -> DaenaKMSError:
    """Return our error for a failed login, without the SDK's text, which may quote the file.

    Args:
        error: The SDK's error, or one of Python's that it lets through.
        key_id: The key, if the call was about one.
        theirs: The time in the answer of the login service, if there was one.
    """
    text = str(error).lower()[:2_000]
    if _CLOCK.search(text):
        return wrong_clock("Google's login service", theirs, key_id)
    names = (kind.__name__ for kind in type(error).__mro__)
    meaning = next((CLASSES[name] for name in names if name in CLASSES), NO_CREDENTIALS)
    meaning = next((told for words, told in _TOLD if words.search(text)), meaning)
    return meaning.about(key_id, name=type(error).__name__)
