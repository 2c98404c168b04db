"""What every test runs under: no real cloud, no network but loopback, repeatable examples."""

import os
import sys

from hypothesis import HealthCheck, settings

from tests.worlds import descriptions

pytest_plugins = ["tests.worlds.servers", "tests.watching"]

# A developer's own credentials must not reach a test, nor a test the account behind them.
_FOREIGN = ("AWS_", "AZURE_", "DAENA_KMS_", "GCP_", "GOOGLE_")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]
for _name in ("DAENA_CLOUD_KMS_PROVIDER", "DAENA_OPERATOR"):
    os.environ.pop(_name, None)
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Stop a test that talks to, or listens for, anything but this machine."""
    if event in {"socket.bind", "socket.connect", "socket.sendto"}:
        address = arguments[1]
        # An address that isn't a pair is no Internet address: a Unix socket's is its path.
        host = address[0] if isinstance(address, tuple) else "localhost"
    elif event == "socket.getaddrinfo":
        host = "localhost" if arguments[0] is None else arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host not in _LOOPBACK:
        raise RuntimeError(f"a test may use loopback only, not {host!r} ({event})")


sys.addaudithook(_refuse_the_network)

# Time on a busy machine says nothing about the code, so no example has a deadline.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "dev")

descriptions.share()
