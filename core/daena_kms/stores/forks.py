"""What must not be shared with a child of this process: each such object starts anew in it."""

import os
import weakref
from typing import Protocol


class Forgets(Protocol):
    """An object that a child process may not go on with as its parent left it."""

    def after_fork(self) -> None:
        """Forget what belongs to the parent. Called in the child, while it has one thread."""


_kept: "weakref.WeakSet[Forgets]" = weakref.WeakSet()


def forget_in_children(kept: Forgets) -> None:
    """Call the object's ``after_fork`` in each child that is forked from this process."""
    _kept.add(kept)


def _tell() -> None:
    for kept in list(_kept):
        kept.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
