"""What the guide shows, as it would be run."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

TEXT = (Path(__file__).parents[3] / "docs" / "NOTIFICATIONS.md").read_text()

type Verify = Callable[[str, Mapping[str, str], bytes], bool]


def block(language: str) -> str:
    """The guide's one block of code in a language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return str(found)


def _verify() -> Verify:
    names: dict[str, object] = {}
    exec(block("python"), names)
    return cast("Verify", names["verify"])


#: A receiver's side of the scheme: no line of it is the sender's.
verify = _verify()
