"""Ctrl-C in the middle of a run: what began comes to its end and is recorded."""

import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.cli import main
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, AwsSimulator, clients
from tests.unit.cli.shell import INTERRUPTIBLE, Shell
from tests.worlds.waiting import eventually

KEYS = [f"key-{n:02}" for n in range(40)]
#: The module: as an attribute of its package, the name is the function's.
RUN = sys.modules["daena_kms.engine.run"]


class Gate:
    """Holds the simulator's answers back once the first new version is being put."""

    def __init__(self, sim: AwsSimulator) -> None:
        self._sim = sim
        self.reached = threading.Event()
        self.opened = threading.Event()
        sim.pause = self.wait
        sim.set_latency(1)

    def wait(self, _seconds: float) -> None:
        """Stand in for the latency of every call."""
        if self._sim.calls.counts()["PutSecretValue"]:
            self.reached.set()
            self.opened.wait(30)


def taken(pid: int) -> bool:
    """Whether no signal waits for the process any more."""
    status = Path(f"/proc/{pid}/status").read_text()
    return set(re.findall(r"(?:SigPnd|ShdPnd):\s*(\w+)", status)) == {"0" * 16}


def test_ctrl_c_leaves_every_key_right(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends with an error, begun rotations are in the log, and the next run goes on."""
    with AwsSimulator() as sim:
        made = clients(sim.url)
        kms_key = made.kms.create_key()["KeyMetadata"]["KeyId"]
        settings = {
            "DAENA_CLOUD_KMS_PROVIDER": "aws",
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
            "AWS_ENDPOINT_URL": sim.url,
            "AWS_REGION": REGION,
            "AWS_KMS_KEY_ID": kms_key,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        shell.environment = settings
        adapter = AWSKMSAdapter(secrets_client=made.secrets, kms_client=made.kms)
        then = datetime.now(UTC) - timedelta(days=91)
        for key_id in KEYS:
            tags = {"daena.managed": "true", "daena.spec": "token"}
            adapter.store.create(key_id, secrets.token_urlsafe(), tags, then)
        gate = Gate(sim)

        with subprocess.Popen(
            [*INTERRUPTIBLE, "rotate"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=shell.surroundings(),
        ) as process:
            assert gate.reached.wait(30)
            process.send_signal(signal.SIGINT)
            assert eventually(lambda: taken(process.pid))
            gate.opened.set()
            out, err = process.communicate(timeout=30)
        begun = [key.id for key in adapter.store.scan() if len(key.versions) > 1]
        sim.set_latency(0)
        again = shell.process("rotate")

        assert process.returncode == 130
        assert "Work that had begun is finished and in the audit log" in err
        assert "Traceback" not in out + err
        assert 0 < len(begun) < len(KEYS)
        assert again.returncode == 0
        keys = list(adapter.store.scan())
        assert {key.id: len(key.versions) for key in keys} == dict.fromkeys(KEYS, 2)
        report = verify(open_log(), keys)
        assert report.problems == []
        new = {key.current.id for key in keys if key.current is not None}
        assert {f.status for f in report.findings if f.version in new} == {"confirmed"}
        made.secrets.close()
        made.kms.close()


class InterruptedPool(ThreadPoolExecutor):
    """Hands a key's work over, and is interrupted before it says so."""

    def submit[**P, T](
        self, work: Callable[P, T], /, *arguments: P.args, **named: P.kwargs
    ) -> Future[T]:
        """Submit, then raise what Ctrl-C raises; it mostly hits here, while a thread starts."""
        super().submit(work, *arguments, **named).result()
        raise KeyboardInterrupt


def test_ctrl_c_at_any_other_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ends the program as a shell expects it, and without a traceback."""

    def interrupted(**_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daena_kms.cli.app.app", interrupted)
    monkeypatch.setattr("gc.freeze", lambda: None)  # this process goes on
    monkeypatch.setattr("gc.set_threshold", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "Interrupted.\n")


def test_work_handed_over_when_ctrl_c_came_is_recorded(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version made by it is confirmed: by that run, or at the latest by the next."""
    shell.create("due-a", "due-b", days=91)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(RUN, "ThreadPoolExecutor", InterruptedPool)
        with pytest.raises(KeyboardInterrupt):
            run(shell.adapter, shell.log)
    made = [key.id for key in shell.adapter.store.scan() if len(key.versions) == 2]
    assert len(made) == 1

    run(shell.adapter, shell.log)

    report = verify(shell.log, shell.adapter.store.scan())
    assert report.problems == []
    assert {f.status for f in report.findings} == {"confirmed"}
