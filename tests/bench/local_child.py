"""A process of its own that rotates two shared keys, and counts what it was told."""

import json
import sys

from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import RotationConflict


def main() -> None:
    """Rotate each key as often as the argument says; a conflict is tried again."""
    wanted = int(sys.argv[1])
    adapter = LocalAdapter()
    counts = {"rotated": 0, "conflicts": 0}
    for key in ("one", "two") * wanted:
        while True:
            try:
                adapter.rotate_key(key)
            except RotationConflict:
                counts["conflicts"] += 1
            else:
                counts["rotated"] += 1
                break
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
