"""Every module of the package can be imported by whoever has all the SDKs."""

import pkgutil
import subprocess
import sys

import daena_kms

#: In a process of its own: here the tests have imported most of them already.
_IMPORT = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def test_every_module_can_be_imported() -> None:
    """The last first: none depends on what another has imported before it, and none warns."""
    found = [module.name for module in pkgutil.walk_packages(daena_kms.__path__, "daena_kms.")]
    assert len(found) > 100
    names = sorted((name for name in found if not name.endswith("__main__")), reverse=True)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORT, *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
