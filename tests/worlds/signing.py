"""The keys that sign, in each cloud's simulator, as tests make, refuse and disable them."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import pytest
from azure.core.rest import HttpRequest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from daena_kms.sdk.aws.signing import KmsKey as AwsKey
from daena_kms.sdk.azure.client import make_client
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.azure.signing import VaultKey
from daena_kms.sdk.gcp.login import GcpLogin
from daena_kms.sdk.gcp.signing import KmsKey as GcpKey
from daena_kms.sdk.rest import Answer
from google.oauth2.credentials import Credentials

from infra.local.aws.in_process import connect
from infra.local.aws.kms_signing import EDWARDS, P256, SIGN
from infra.local.aws.sim import ACCESS_KEY, AwsSimulator
from infra.local.azure import auth
from infra.local.azure.in_process import InProcess
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp import kms as gcp_kms
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.sim import GcpSimulator
from infra.local.http_server import Request, Response

#: What changes an answer before the key's class sees it: takes the operation and the answer.
type Change = Callable[[str, Response], Response]
READ_KEY, SIGN_TEXT = "read", "sign"


class SigningKey(Protocol):
    """What the three classes share."""

    def public_key(self) -> Any:
        """Return the public key."""

    def sign(self, text: bytes) -> bytes:
        """Return a signature."""


class Signing(ABC):
    """A cloud with one key that signs."""

    #: The member of its answers with the signature, that with the key's name, and a good length.
    members: ClassVar[tuple[str, str]]
    #: What a wrong kind's error must name: what it is, and what is needed.
    another: ClassVar[tuple[str, str]]
    #: The names of the operations, as the simulator records them.
    operations: ClassVar[tuple[str, str]]
    sim: Any

    @abstractmethod
    def key(self, change: Change | None = None) -> Any:
        """Return the class's object for the key, whose answers may be changed on their way."""

    @abstractmethod
    def of_another_kind(self) -> SigningKey:
        """Return one for a key on another curve."""

    @abstractmethod
    def missing(self) -> SigningKey:
        """Return one for a key that does not exist."""

    @abstractmethod
    def disable(self) -> None:
        """Disable the key."""

    @abstractmethod
    def allow(self, *what: str) -> None:
        """Allow the caller only :data:`READ_KEY` or :data:`SIGN_TEXT`, on this key."""

    def forget_calls(self) -> None:
        """Start to count calls anew."""
        self.sim.calls.clear()


class AwsSigning(Signing):
    """A KMS key."""

    members = ("Signature", "KeyId")
    another = (P256, EDWARDS)
    operations = ("GetPublicKey", "Sign")

    def __init__(self, sim: AwsSimulator, patch: pytest.MonkeyPatch) -> None:
        for name, text in sim.environment.items():
            patch.setenv(name, text)
        patch.setattr("daena_kms.sdk.aws.client.AWS._make.__defaults__", (1,))  # no retries
        self.sim = sim
        self.own = sim.clients(access_key="AKIDOWNER").kms
        self.id = self.make()
        self.arn = sim.kms.keys[self.id].arn

    def make(self, spec: Any = EDWARDS, usage: Any = SIGN) -> str:
        """Make a key and return its id."""
        return self.own.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]

    def key(self, change: Change | None = None) -> AwsKey:
        """Return one whose answers may be changed."""
        made = AwsKey(self.arn)
        if change is not None:
            connect(made._aws.client("kms"), lambda request: self._changed(change, request))
        return made

    def _changed(self, change: Change, request: Request) -> Response | None:
        answer: Response | None = self.sim.ask(request)
        operation = request.headers["x-amz-target"].partition(".")[2]
        return None if answer is None else change(operation, answer)

    def of_another_kind(self) -> AwsKey:
        """Return one for a key on another curve."""
        return AwsKey(self.sim.kms.keys[self.make(P256)].arn)

    def missing(self) -> AwsKey:
        """Return one for a key that does not exist."""
        return AwsKey(self.arn.replace(self.id, "0" * 8 + self.id[8:]))

    def disable(self) -> None:
        """Disable the key."""
        self.own.disable_key(KeyId=self.id)

    def allow(self, *what: str) -> None:
        """Allow the caller only this."""
        names = {READ_KEY: "kms:GetPublicKey", SIGN_TEXT: "kms:Sign"}
        actions = [names[each] for each in what] or ["kms:DescribeKey"]
        statement = {"Effect": "Allow", "Action": actions, "Resource": self.arn}
        self.sim.policies.attach(ACCESS_KEY, [statement])


class AzureSigning(Signing):
    """A key in a vault."""

    members = ("value", "kid")
    another = ("P-384", "P-256")
    operations = ("GetKey", "Sign")

    def __init__(self, sim: AzureSimulator, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("REQUESTS_CA_BUNDLE", sim.ca_file)
        self.sim = sim
        self.own = sim.secrets_client("owner")
        sim.roles.assign("owner", "Key Vault Crypto Officer")
        self.url = self.make("seal")

    def make(self, name: str, **document: Any) -> str:
        """Make a version of a key and return its address."""
        asked = {"kty": "EC", "crv": "P-256", **document}
        path = f"{self.sim.vault_url}/keys/{name}/create"
        answer = self.own.send_request(HttpRequest("POST", path, json=asked))
        answer.raise_for_status()
        return str(answer.json()["key"]["kid"])

    def update(self, **attributes: Any) -> None:
        """Change the attributes of the key's version."""
        asked = HttpRequest("PATCH", self.url, json={"attributes": attributes})
        self.own.send_request(asked).raise_for_status()

    def at(self, url: str) -> VaultKey:
        """Return one for an address."""
        return VaultKey(url, {}, Login({}, credential=self.sim.credential()))

    def key(self, change: Change | None = None) -> VaultKey:
        """Return one whose answers may be changed."""
        made = self.at(self.url)
        if change is not None:
            transport = InProcess(lambda request: self._changed(change, request), lambda _: None)
            credential = self.sim.credential()
            made._vault._client = make_client(self.sim.vault_url, credential, transport)
        return made

    def _changed(self, change: Change, request: Request) -> Response | None:
        answer: Response | None = self.sim.ask(request)
        if answer is None or "authorization" not in request.headers:
            return answer
        return change("Sign" if request.path.endswith("/sign") else "GetKey", answer)

    def of_another_kind(self) -> VaultKey:
        """Return one for a key on another curve."""
        return self.at(self.make("other", crv="P-384"))

    def missing(self) -> VaultKey:
        """Return one for a key that does not exist."""
        return self.at(self.url[:-32] + "0" * 32)

    def disable(self) -> None:
        """Disable the key."""
        self.update(enabled=False)

    def allow(self, *what: str) -> None:
        """Allow the caller only this."""
        names = {READ_KEY: auth.READ_KEY, SIGN_TEXT: auth.SIGN_KEY}
        self.sim.roles.revoke(auth.OWNER)
        self.sim.roles.assign(auth.OWNER, [names[each] for each in what], auth.key("seal"))


class _Changing:
    """Asks in place of an :class:`~daena_kms.sdk.rest.Asker`, and changes what comes."""

    def __init__(self, inner: Any, operation: str, change: Change) -> None:
        self._inner = inner
        self._operation = operation
        self._change = change

    def __call__(self, query: Mapping[str, str]) -> Answer:
        """Send a query."""
        return self._changed(self._inner(query))

    def post(self, document: Mapping[str, Any]) -> Answer:
        """Send a document."""
        return self._changed(self._inner.post(document))

    def _changed(self, got: Answer) -> Answer:
        answer = self._change(self._operation, Response(got.status, got.body, got.headers))
        return Answer(answer.status, answer.headers, answer.body)


class GcpSigning(Signing):
    """A key version in Cloud KMS."""

    members = ("signature", "name")
    another = (gcp_kms.P256, gcp_kms.ED25519)
    operations = ("GetPublicKey", "AsymmetricSign")

    def __init__(self, sim: GcpSimulator) -> None:
        self.sim = sim
        self.name = sim.kms.create("checkpoints")

    def at(self, name: str) -> GcpKey:
        """Return one for a name."""
        credentials = Credentials(ROTATOR)  # type: ignore[no-untyped-call]  # as it is declared
        environ = self.sim.environment
        return GcpKey(name, environ, GcpLogin(environ, credentials=credentials))

    def key(self, change: Change | None = None) -> GcpKey:
        """Return one whose answers may be changed."""
        made = self.at(self.name)
        if change is not None:
            reader, signer = made._reader, made._signer
            vars(made)["_reader"] = _Changing(reader, "GetPublicKey", change)
            vars(made)["_signer"] = _Changing(signer, "AsymmetricSign", change)
        return made

    def of_another_kind(self) -> GcpKey:
        """Return one for a key on another curve."""
        return self.at(self.sim.kms.create("other", gcp_kms.P256))

    def missing(self) -> GcpKey:
        """Return one for a key that does not exist."""
        return self.at(self.name[:-1] + "9")

    def disable(self) -> None:
        """Disable the key."""
        self.sim.kms.versions[self.name].state = gcp_kms.DISABLED

    def allow(self, *what: str) -> None:
        """Allow the caller only this."""
        names = {READ_KEY: gcp_kms.VIEW, SIGN_TEXT: gcp_kms.SIGN}
        self.sim.set_role(ROTATOR, [names[each] for each in what])


@contextmanager
def open_signing(cloud: str) -> Iterator[Signing]:
    """Give a cloud with one key that signs."""
    with pytest.MonkeyPatch.context() as patch:
        match cloud:
            case "aws":
                with AwsSimulator() as aws:
                    yield AwsSigning(aws, patch)
            case "azure":
                with AzureSimulator() as azure:
                    yield AzureSigning(azure, patch)
            case _:
                with GcpSimulator() as gcp:
                    yield GcpSigning(gcp)


def changed(operation: str, change: Callable[[Response], Response]) -> Change:
    """Return what changes the answers to one operation."""
    return lambda name, answer: change(answer) if name == operation else answer


def always(given: Response) -> Callable[[Response], Response]:
    """Return what gives this answer instead."""
    return lambda _answer: given


def editing(edit: Callable[[dict[str, Any]], object]) -> Callable[[Response], Response]:
    """Return what changes the document of an answer."""
    return lambda answer: edited(answer, edit)


def edited(answer: Response, edit: Callable[[dict[str, Any]], object]) -> Response:
    """Return an answer whose document was changed."""
    document = json.loads(answer.body)
    edit(document)
    return replace(answer, body=json.dumps(document).encode())


def verify(public: Any, signature: bytes, text: bytes) -> None:
    """Verify a signature. Raises the library's error."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, text)
    else:
        assert isinstance(public.curve, ec.SECP256R1)
        public.verify(signature, text, ec.ECDSA(SHA256()))
