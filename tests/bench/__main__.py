"""Measure every figure and print the table: ``python -m tests.bench [--quick] [--json]``."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from tests.bench import api, calls, cold_start, command_line, local, pace, planning
from tests.bench.cloud import Cloud
from tests.bench.figures import Figure, as_json, best_of, missed, table
from tests.bench.on_aws import Aws
from tests.bench.on_azure import Azure
from tests.bench.on_gcp import Gcp

_CLOUDS: Mapping[str, Cloud] = {"aws": Aws(), "azure": Azure(), "gcp": Gcp()}
type Measure = Callable[[], Iterable[Figure]]


def _groups(*, quick: bool) -> Mapping[str, Mapping[str, Measure]]:
    """Return what is measured, by group and store."""

    def counted(measure: Callable[[Cloud], Iterable[Figure]]) -> dict[str, Measure]:
        return {name: partial(measure, cloud) for name, cloud in _CLOUDS.items()}

    def timed(measure: Callable[[Cloud], Iterable[Figure]]) -> dict[str, Measure]:
        return counted(lambda cloud: best_of(lambda: list(measure(cloud))))

    return {
        "calls": counted(calls.measure),
        "planning": counted(lambda cloud: planning.measure(cloud, quick=quick)),
        "pace": timed(lambda cloud: pace.without_quota(cloud, quick=quick)),
        "named": timed(pace.named),
        "quota": timed(lambda cloud: pace.with_quota(cloud, quick=quick)),
        "cold-start": timed(lambda cloud: cold_start.measure(cloud.provider, quick=quick)),
        "api": {
            **timed(api.warm),
            "local": lambda: best_of(lambda: list(api.cold(quick=quick))),
        },
        "package": timed(lambda cloud: cold_start.packaged(cloud.provider, quick=quick)),
        "local": {"local": lambda: best_of(lambda: list(local.rate(quick=quick)))},
        "command-line": {"local": lambda: best_of(lambda: list(command_line.measure(quick=quick)))},
        "processes": {"local": local.together},
    }


def main() -> int:
    """Return 0 when every target is met, 1 when one is missed."""
    names = list(_groups(quick=False))
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer keys and rounds")
    parser.add_argument("--json", action="store_true", help="for machines instead of a table")
    parser.add_argument("--store", choices=[*_CLOUDS, "local"], help="this one's figures alone")
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(names)}")
    options = parser.parse_args()
    unknown = set(options.groups) - set(names)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for group, measures in _groups(quick=options.quick).items():
        for store, measure in measures.items():
            if group in (options.groups or names) and store == (options.store or store):
                print(f"measuring: {group} of {store} …", file=sys.stderr)
                figures += measure()
    print(as_json(figures) if options.json else table(figures))
    return 1 if missed(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
