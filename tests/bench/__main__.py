"""Measure every figure and print the table: ``python -m tests.bench [--quick] [--json]``."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping

from tests.bench import calls, cold_start, local, pace, planning
from tests.bench.figures import Figure, as_json, best_of, missed, table


def _groups(*, quick: bool) -> Mapping[str, Callable[[], Iterable[Figure]]]:
    return {
        "calls": calls.measure,
        "planning": lambda: planning.measure(quick=quick),
        "pace": lambda: best_of(lambda: list(pace.without_quota(quick=quick))),
        "quota": lambda: best_of(lambda: list(pace.with_quota(quick=quick))),
        "cold-start": lambda: best_of(lambda: list(cold_start.measure(quick=quick))),
        "local": lambda: best_of(lambda: list(local.rate(quick=quick))),
        "processes": local.together,
    }


def main() -> int:
    """Return 0 when every target is met, 1 when one is missed."""
    names = list(_groups(quick=False))
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer keys and rounds")
    parser.add_argument("--json", action="store_true", help="for machines instead of a table")
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(names)}")
    options = parser.parse_args()
    unknown = set(options.groups) - set(names)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name, measure in _groups(quick=options.quick).items():
        if not options.groups or name in options.groups:
            print(f"measuring: {name} …", file=sys.stderr)
            figures += measure()
    print(as_json(figures) if options.json else table(figures))
    return 1 if missed(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
