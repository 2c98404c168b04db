"""Play many histories: ``python -m tests.simulation.torture --store aws --seeds 1-5000``.

Prints each seed whose history goes wrong, what went wrong, the smallest history in which the same
thing does, and what happened in it, call by call.
"""

import argparse
import logging
import sys
from collections import Counter
from pprint import pformat

from tests.simulation.clouds import CLOUDS
from tests.simulation.history import draw
from tests.simulation.player import play, shrink


def main() -> int:
    """Play them; 1: something went wrong."""
    given = _arguments()
    logging.disable()  # what runs say of each fault is not what this is about
    bad = 0
    for store in CLOUDS if given.store == "all" else (given.store,):
        cloud = CLOUDS[store]()
        counts: Counter[str] = Counter()
        for seed in given.seeds:
            history = draw(store, seed, tuple(cloud.outsiders))
            played = play(history, cloud)
            counts.update(
                histories=1, calls=played.calls, instants=len(played.counted),
                wrong=bool(played.wrong),
            )  # fmt: skip
            if played.wrong:
                small = shrink(history, cloud)
                again = play(small, cloud)
                _say(f"seed {seed}: {again.wrong}\n{pformat(small, width=100)}\n")
                _say("\n".join(again.told))
        cloud.end()
        bad += counts["wrong"]
        _say(
            f"{store}: {counts['histories']} histories of {counts['calls']} calls, "
            f"{counts['wrong']} wrong; {counts['instants']} changes in the same instant"
        )
    return int(bad > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=[*CLOUDS, "all"], default="all")
    parser.add_argument("--seeds", type=_seeds, default=range(1, 501), metavar="FIRST-LAST")
    return parser.parse_args()


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
