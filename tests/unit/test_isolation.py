"""The conditions that tests/conftest.py makes for every test."""

import os
import socket

import pytest

# A block that is kept for documentation: nobody answers there.
ELSEWHERE = "192.0.2.1"


def test_no_connection_leaves_the_machine() -> None:
    """A test that connects to another address fails at once instead of waiting."""
    with socket.socket() as client, pytest.raises(RuntimeError, match="loopback only"):
        client.connect((ELSEWHERE, 443))


def test_no_name_is_looked_up_elsewhere() -> None:
    """A cloud's host name isn't resolved."""
    with pytest.raises(RuntimeError, match=r"kms\.example\.com"):
        socket.getaddrinfo("kms.example.com", 443)


def test_servers_listen_on_loopback_alone() -> None:
    """A stand-in can't be reached from another machine, and can from this one."""
    with socket.socket() as server, pytest.raises(RuntimeError, match="loopback only"):
        server.bind(("", 0))
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()


def test_no_credentials_of_the_developer_are_seen() -> None:
    """What the shell exports for the clouds is gone, and the files of the AWS tools are empty."""
    foreign = {
        name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GCP_", "GOOGLE_"))
    }
    assert foreign == {
        "AWS_CONFIG_FILE",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_SHARED_CREDENTIALS_FILE",
    }
    assert os.environ["AWS_CONFIG_FILE"] == os.environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
