"""The rules for tags on a simulated secret."""

from collections.abc import Mapping

from infra.local.aws.protocol import AwsError, Params

# docs.aws.amazon.com/general/latest/gr/aws_tagging.html
MAX_TAGS = 50
MAX_KEY, MAX_VALUE = 128, 256


def read_tags(params: Params, present: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that are present once those of a request are added."""
    added: dict[str, str] = {}
    for pair in params.objects("Tags"):
        key = pair.required("Key", MAX_KEY)
        if key.lower().startswith("aws:"):
            raise _invalid("A tag key can't begin with aws:.")
        if key in added:
            raise _invalid("The request has the same tag key twice.")
        added[key] = pair.text("Value", 0, MAX_VALUE) or ""
    tags = {**present, **added}
    if len(tags) > MAX_TAGS:
        raise _invalid(f"A secret can have at most {MAX_TAGS} tags.")
    return tags


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
