"""The package for Cloud Functions, run by Google's own functions-framework."""

from pathlib import Path

from infra.local.gcp.sim import GcpSimulator
from tests.functions.gcp_world import PROGRAM, GcpProject, caller, function
from tests.infra.built import path


def test_the_gcp_package_works(tmp_path: Path) -> None:
    """Its own modules rotate what is due; the source tree's are not looked at."""
    package = path("gcp/daena-kms")
    assert PROGRAM.exists()
    with GcpSimulator() as sim:
        project = GcpProject(sim, tmp_path / "project")
        project.folder.mkdir()
        project.secret("due-key", days=91)
        # What was compiled, and from where, shows which modules were loaded.
        compiled = tmp_path / "compiled"
        env = {**project.env, "PYTHONPATH": str(package), "PYTHONPYCACHEPREFIX": str(compiled)}
        with function("scheduled", "http", env, project.folder, package / "main.py") as running:
            answer = running.ask("POST", "/", headers=caller())
        assert (answer.status, answer.document["rotated"]) == (200, ["due-key"])
        assert project.version("due-key") == 2
        project.close()
    loaded = {file.parent for file in compiled.rglob("survey.*.pyc")}
    assert loaded == {compiled / package.relative_to("/") / "daena_kms" / "engine"}
