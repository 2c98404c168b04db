"""``python -m infra.demo [PART…]``: what ``make demo`` runs."""

import argparse

from infra.demo import PARTS, show

parser = argparse.ArgumentParser(prog="python -m infra.demo", description=__doc__)
parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
parser.add_argument("--keep", action="store_true", help="keep the files, and say where")
asked = parser.parse_args()
show(asked.parts or list(PARTS), keep=asked.keep)
