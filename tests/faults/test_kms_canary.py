"""A value that is recorded appears nowhere but in the store, whatever goes wrong on the way."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from daena_kms.errors import DaenaKMSError
from daena_kms.kms import KeyManagementService

from tests.faults.leaks import (
    KEY,
    Recorder,
    canary,
    forms,
    leaked,
    texts_of,
)
from tests.faults.services import service
from tests.unit.kms.manifests import one_signer, pem
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.local import LocalWorld
from tests.worlds.seam import Effect


@pytest.fixture
def wire() -> bool:
    """What handles a connection may log or quote a value as well."""
    return True


def everything(world: FaultWorld, logs: Recorder, kms: KeyManagementService) -> list[str]:
    """Return all that was written and can be shown, except what the store keeps."""
    held = world.held()
    objects = [held.get(e.name) or b"" for p in ("log/", "manifests/") for e in held.entries(p)]
    assert len(objects) >= 4
    texts = [data.decode() for data in objects]
    texts += [repr(m) + repr(m.to_dict()) for m in kms.iter_manifests()]
    texts += [repr(kms), repr(kms.verify_chain()), kms.public_key]
    return texts + list(world.shown()) + logs.texts


def test_nothing_that_is_written_logged_or_shown_holds_it(
    world: FaultWorld, logs: Recorder
) -> None:
    """Plain, base64, hexadecimal, URL-quoted or JSON: in no log, record, manifest or repr."""
    kms, values = service(world), [canary() for _ in range(3)]
    shown = [repr(kms.record_rotation(values[0], KEY, {"ticket": "OPS-7"}))]
    shown.append(repr(kms.record_rotation(values[1], KEY)))
    shown.append(repr(kms.rollback_key(KEY)))
    shown.append(repr(kms.record_rotation(values[2], "other-key", store_in_cloud=False)))
    shown.append(repr(kms.create_manifest(values[2], "other-key")))
    assert kms.get_key_from_cloud(KEY, "previous") == values[1]
    shown += [kms.delete_key(KEY), repr(kms.restore_key(KEY))]
    assert kms.verify_chain()
    assert leaked(values, [*shown, *everything(world, logs, kms)]) == []
    assert "daena_kms" in logs.names


def test_the_search_would_find_it(world: FaultWorld, logs: Recorder) -> None:
    """A fingerprint that were the value itself is found in the manifest and in the log's place."""
    value = secrets.token_urlsafe(40)
    kms = service(world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daena_kms.kms.manifests.signing.Signer.fingerprint", lambda *_: value)
        kms.record_rotation(value, KEY)
    assert leaked([value], everything(world, logs, kms))


@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.AFTER])
def test_no_error_holds_it(world: FaultWorld, logs: Recorder, effect: Effect) -> None:
    """Whichever call fails, neither the error nor its causes nor any log shows the value."""
    first, value = canary(), secrets.token_urlsafe(40)
    kms = service(world)
    kms.record_rotation(first, KEY)
    world.save()
    world.arm(0, effect)
    service(world, DAY).record_rotation(value, KEY)
    errors: list[DaenaKMSError] = []
    for at in range(1, world.calls() + 1):
        world.load()
        world.arm(at, effect)
        try:
            service(world, DAY).record_rotation(value, KEY)
        except DaenaKMSError as error:
            errors.append(error)
        world.mend()
    assert len(errors) > 3
    assert leaked([first, value], [text for e in errors for text in texts_of(e)]) == []
    assert leaked([first, value], everything(world, logs, service(world))) == []


def bad_calls(kms: KeyManagementService, value: str) -> list[Callable[[], object]]:
    """What a caller may do wrong with a value in hand."""
    return [
        lambda: kms.record_rotation(value * 1_000, KEY),
        lambda: kms.record_rotation(f"{value}\udcff", KEY),
        lambda: kms.record_rotation([value], KEY),  # type: ignore[arg-type] # the point
        lambda: kms.record_rotation(value.encode(), KEY),  # type: ignore[arg-type] # the point
        lambda: kms.record_rotation(value, KEY, {"note": value}),
        lambda: kms.record_rotation(value, KEY, {value: 1}),
        lambda: kms.record_rotation(value, KEY, {"note": [{"a": f"was {value}."}]}),
        lambda: kms.record_rotation(value, KEY, {"note": object(), "value": value}),
        lambda: kms.record_rotation(value, KEY, value),  # type: ignore[arg-type] # the point
        lambda: kms.record_rotation(value, KEY, {"big": value * 200}),
        lambda: kms.record_rotation(value, "their-key"),
        lambda: kms.record_rotation(value, "held-key"),
        *(lambda f=form: kms.record_rotation(value, KEY, {"n": f}) for form in forms(value)),
    ]


def test_bad_input_is_refused_without_it(world: FaultWorld, logs: Recorder) -> None:
    """Every refusal is ours, changes nothing, and does not show the value."""
    value = secrets.token_urlsafe(40)
    kms = service(world)
    world.foreign("their-key", secrets.token_urlsafe())
    kms.record_rotation(secrets.token_urlsafe(), "held-key")
    store = world.adapter.store
    store.tag(store.describe("held-key"), {"daena.hold": "true"})
    before, texts = world.state(), list[str]()
    logs.texts.clear()
    for call in bad_calls(kms, value):
        with pytest.raises(DaenaKMSError) as caught:
            call()
        assert caught.value.todo
        texts += texts_of(caught.value)
    assert world.state() == before
    assert leaked([value], texts + logs.texts) == []
    assert len(list(kms.iter_manifests())) == 1


def test_the_folder_of_manifests_holds_neither_value_nor_signing_key(tmp_path: Path) -> None:
    """No file that a verifier is given tells them, and the signing key's file is the only one."""
    world = LocalWorld(tmp_path / "world")
    value, key = canary(), pem()
    kms = KeyManagementService(
        adapter=world.adapter, log=world.log, signing_key=key, operator="alice"
    )
    kms.record_rotation(value, KEY)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    secret = "".join(key.splitlines()[1:-1])
    assert leaked([value, secret], [data.decode("latin-1") for data in files]) == []
    manifest = kms.load_last_manifest()
    assert manifest is not None
    with pytest.raises(DaenaKMSError) as caught:
        KeyManagementService(signing_key=one_signer()).matches(manifest, value)
    assert leaked([value], texts_of(caught.value)) == []
