"""What each class of botocore's exceptions means, by name: a row for every class there is.

A test holds that. So a class that a new botocore brings is looked at before it is released, and
none ends in "check the network" that is not about the network.
"""

from collections.abc import Mapping

from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.sdk.errors import Meaning

#: What botocore lets through when it finds or renews credentials: a token file that can't be read,
#: a ``credential_process`` that prints no JSON.
IN_CALLS = (OSError, ValueError)
#: And when it finds them first: JSON that has not the members that it should.
OTHERS = (*IN_CALLS, KeyError, TypeError, AttributeError)
#: What botocore lets through when it reads an answer that is no object of JSON, or of another form.
IN_ANSWERS = (*OTHERS, RuntimeError, RecursionError)
_CREDENTIALS_CODE = frozenset({"botocore.credentials", "botocore.tokens"})
_ANSWERS_CODE = frozenset({"botocore.parsers"})
_ENDPOINT_CODE = "botocore.endpoint"
#: The beginning of botocore's text for new credentials that have expired already. It has no class.
_EXPIRED = "Credentials were refreshed, but"

_FILES = "Check the AWS configuration: ~/.aws/config, ~/.aws/credentials and the variables AWS_*"
NO_REGION = Meaning(ConfigError, "no AWS region is set", "Set AWS_REGION, or pass region")
_BAD_REGION = Meaning(
    ConfigError,
    "the AWS region is not a region ({name})",
    "Write one such as eu-central-1 into AWS_REGION, in lower case and without spaces",
)
_PROFILE = Meaning(
    ConfigError,
    "no usable AWS credentials: the profile does not exist ({name})",
    "Check the credentials that the AWS SDK finds: AWS_PROFILE, and the profiles in ~/.aws/config",
)
_CONFIG_FILE = Meaning(ConfigError, "an AWS configuration file can't be read ({name})", _FILES)
CONFIG = Meaning(ConfigError, "a setting of the AWS SDK is wrong ({name})", _FILES)
_ENDPOINT = Meaning(
    ConfigError,
    "AWS has no endpoint for these settings ({name})",
    "Check AWS_REGION, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_ENDPOINT_URL…",
)
_CREDENTIALS = Meaning(
    ConfigError,
    "no usable AWS credentials ({name})",
    "Check the credentials that the AWS SDK finds: environment, profile or role",
)
_UNREADABLE = Meaning(
    ConfigError,
    "no usable AWS credentials: what they come from can't be used ({name})",
    "Check the token file, and what the profile's credential_process prints",
)
_NO_METADATA = Meaning(
    ConfigError,
    "no usable AWS credentials: the machine's metadata service gives none ({name})",
    "Give the machine a role, or set AWS_PROFILE or access keys",
)
_LOGIN = Meaning(
    ConfigError,
    "no usable AWS credentials: the login has expired or is missing ({name})",
    "Log in again: aws sso login, or aws login, with the profile that is used",
)
_MFA = Meaning(
    ConfigError,
    "the profile asks for an MFA code, and there is no terminal ({name})",
    "Log in first, and use the profile or the variables of that session",
)
_CALL = Meaning(
    ConfigError, "the AWS SDK refused the call ({name})", "Check the arguments and the settings"
)
_SDK = Meaning(
    ConfigError,
    "the AWS SDK lacks something that it needs ({name})",
    "Reinstall it: pip install --force-reinstall 'daena-kms[aws]'",
)
_DEPENDENCY = Meaning(
    ConfigError,
    "the AWS SDK needs a package that is not installed ({name})",
    "Run: pip install awscrt",
)
_TRY_AGAIN = "the next run tries again"
NO_ANSWER = Meaning(
    StoreUnavailable, "AWS did not answer ({name})", f"Check the network; {_TRY_AGAIN}"
)
_PROXY = Meaning(
    StoreUnavailable,
    "the proxy to AWS can't be reached ({name})",
    f"Check HTTPS_PROXY and NO_PROXY; {_TRY_AGAIN}",
)
_CERTIFICATE = Meaning(
    StoreUnavailable,
    "the certificate of AWS's endpoint is not trusted ({name})",
    "Check AWS_CA_BUNDLE or the profile's ca_bundle, this machine's clock, and any proxy that "
    "opens TLS",
)
_NO_TLS = Meaning(
    StoreUnavailable,
    "there is no TLS connection to AWS's endpoint ({name})",
    "Check the endpoint's address and port, and any proxy in between",
)
DAMAGED = Meaning(
    StoreUnavailable,
    "the answer of AWS was cut off or damaged ({name})",
    f"Look for a proxy in between; {_TRY_AGAIN}",
)
_THROTTLED = Meaning(
    StoreUnavailable, "AWS throttles, and the SDK gave up waiting ({name})", _TRY_AGAIN.capitalize()
)
_NOT_SENT = Meaning(
    StoreUnavailable,
    "the AWS SDK could not send the request ({name})",
    f"Check the settings of proxies and certificates; {_TRY_AGAIN}",
)
#: A class of a newer SDK.
UNKNOWN = Meaning(
    StoreUnavailable,
    "the AWS SDK failed in a way that daena-kms does not know ({name})",
    f"Check for a newer version of daena-kms; {_TRY_AGAIN}",
)

_BY_MEANING: Mapping[Meaning, tuple[str, ...]] = {
    NO_REGION: ("NoRegionError",),
    _BAD_REGION: ("InvalidRegionError", "UnknownRegionError", "InvalidHostLabelError"),
    _PROFILE: ("ProfileNotFound",),
    _CONFIG_FILE: ("ConfigParseError", "ConfigNotFound"),
    CONFIG: (
        *("InvalidConfigError", "InfiniteLoopConfigError", "InvalidDefaultsMode"),
        *("InvalidRetryConfigurationError", "InvalidMaxRetryAttemptsError"),
        *("InvalidRetryModeError", "InvalidProxiesConfigError", "InvalidChecksumConfigError"),
        *("InvalidS3AddressingStyleError", "InvalidS3UsEast1RegionalEndpointConfigError"),
        *("InvalidSTSRegionalEndpointsConfigError", "InvalidIMDSEndpointError"),
        *("InvalidIMDSEndpointModeError", "InvalidEndpointDiscoveryConfigurationError"),
        *("UnsupportedS3ConfigurationError", "UnsupportedS3AccesspointConfigurationError"),
        "UnsupportedS3ControlConfigurationError",
    ),
    _ENDPOINT: (
        *("InvalidEndpointConfigurationError", "BaseEndpointResolverError"),
        *("EndpointVariantError", "UnknownEndpointError", "UnknownFIPSEndpointError"),
        *("EndpointProviderError", "EndpointResolutionError", "ServiceNotInRegionError"),
        *("UnknownEndpointResolutionBuiltInName", "InvalidDNSNameError", "UnsupportedS3ArnError"),
        *("UnsupportedS3ControlArnError", "UnsupportedOutpostResourceError"),
    ),
    _CREDENTIALS: (
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        *("NoAuthTokenError", "TokenRetrievalError", "UnknownTokenProviderError"),
        *("UnknownCredentialError", "RefreshWithMFAUnsupportedError"),
    ),
    _UNREADABLE: tuple(kind.__name__ for kind in OTHERS),
    _MFA: ("EOFError",),  # of the question for the code
    _NO_METADATA: ("MetadataRetrievalError",),
    _LOGIN: (
        *("SSOError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "LoginError"),
        *("LoginRefreshRequired", "LoginInsufficientPermissions", "LoginTokenLoadError"),
        "LoginAuthorizationCodeError",
    ),
    _CALL: (
        *("ValidationError", "ParamValidationError", "UnknownKeyError", "RangeError"),
        *("UnknownParameterError", "AliasConflictParameterError", "MissingParametersError"),
        *("UnknownServiceStyle", "PaginationError", "OperationNotPageableError"),
        *("InvalidExpressionError", "UnknownClientMethodError", "UnseekableStreamError"),
        *("WaiterConfigError", "StubResponseError", "StubAssertionError"),
        "UnStubbedResponseError",
    ),
    _SDK: (
        *("DataNotFoundError", "UnknownServiceError", "ApiVersionNotFoundError"),
        *("UnknownSignatureVersionError", "UnsupportedSignatureVersionError"),
        *("UnsupportedServiceProtocolsError", "UndefinedModelAttributeError"),
        *("MissingServiceIdError", "MD5UnavailableError"),
    ),
    _DEPENDENCY: ("MissingDependencyException",),
    NO_ANSWER: (
        *("ConnectionError", "EndpointConnectionError", "ConnectionClosedError"),
        *("ConnectTimeoutError", "ReadTimeoutError", "WaiterError"),
        *("TimeoutError", "gaierror"),  # Python's own
    ),
    _PROXY: ("ProxyConnectionError",),
    _NO_TLS: ("SSLError",),
    DAMAGED: (
        *("ResponseStreamingError", "IncompleteReadError", "ChecksumError"),
        *("FlexibleChecksumError", "AwsChunkedWrapperError"),
        "ResponseParserError",  # of botocore.parsers
    ),
    _THROTTLED: ("CapacityNotAvailableError",),
    # It holds whatever the HTTP client raised: of_transport looks at that first.
    _NOT_SENT: ("HTTPClientError",),
    UNKNOWN: ("BotoCoreError",),
}
#: A class of botocore's, or one of :data:`OTHERS`, and its meaning.
CLASSES: Mapping[str, Meaning] = {
    name: meaning for meaning, names in _BY_MEANING.items() for name in names
}


def is_of_credentials(error: BaseException) -> bool:
    """Return whether an error came up where botocore finds or renews credentials."""
    return _is_from(error, _CREDENTIALS_CODE)


def is_of_answer(error: BaseException) -> bool:
    """Return whether an error came up where botocore reads an answer."""
    if isinstance(error, AttributeError) and _innermost(error) == _ENDPOINT_CODE:
        return True  # a body of ``null`` is read as nothing at all
    return _is_from(error, _ANSWERS_CODE) and not is_of_credentials(error)


def _innermost(error: BaseException) -> object:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else trace.tb_frame.f_globals.get("__name__")


def _is_from(error: BaseException, modules: frozenset[str]) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") in modules:
            return True
        trace = trace.tb_next
    return False


def is_expired(error: BaseException) -> bool:
    """Return whether botocore got new credentials that have expired already."""
    return type(error) is RuntimeError and str(error).startswith(_EXPIRED)


def of_transport(error: BaseException) -> Meaning | None:
    """Return what an error says by what is in it: a certificate, an expired credential; or None."""
    import ssl

    if is_expired(error):
        return _LOGIN
    arguments = getattr(error, "kwargs", None)
    inner = arguments.get("error") if isinstance(arguments, dict) else None
    for found in (error, inner):
        # botocore's SSLError holds the text of the one beneath it.
        name = type(found).__name__
        if name == "SSLError" or isinstance(found, ssl.SSLError):
            return _CERTIFICATE if "CERTIFICATE_VERIFY_FAILED" in str(found) else _NO_TLS
    if type(error).__name__ == "HTTPClientError" and isinstance(inner, OSError):
        return NO_ANSWER
    return None
