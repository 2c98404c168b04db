"""On AWS: no call moves the current version without saying which one it moves it from."""

from tests.faults.permissions import live_a_life
from tests.worlds.aws import AwsWorld


def test_what_moves_the_current_version_unchecked_is_never_called(aws: AwsWorld) -> None:
    """No put uses the default label, no promotion goes without the base, and UpdateSecret never."""
    live_a_life(aws)
    for call in aws.sim.calls:
        assert call.operation not in {"UpdateSecret", "RotateSecret", "RotateKeyOnDemand"}
        stages = call.params.get("VersionStages")
        if call.operation == "PutSecretValue":
            assert isinstance(stages, list)
            assert "AWSCURRENT" not in stages
        if call.params.get("VersionStage") == "AWSCURRENT" and "MoveToVersionId" in call.params:
            assert "RemoveFromVersionId" in call.params
        assert call.params.get("ForceDeleteWithoutRecovery") in {None, False}
