"""In: the command line of `make load`. Out: what became of each load."""

from __future__ import annotations

import argparse
import sys
import time

from tests.ledger.load.fleet import fleet
from tests.ledger.load.parts import PARTS

_SMALL = 0.02


def main() -> int:
    """Play the parts, one after another."""
    parts = PARTS | {"fleet": fleet}
    parser = argparse.ArgumentParser(prog="python -m tests.ledger.load", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=parts, metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--small", action="store_true", help=f"{_SMALL:.0%} of each, within a minute or two")
    options = parser.parse_args()
    for name in options.only or parts:
        began = time.monotonic()
        print(f"{name}: {parts[name].__doc__}", flush=True)
        for line in parts[name](_SMALL if options.small else 1.0):
            print(f"    {line}", flush=True)
        print(f"    ({time.monotonic() - began:.0f} s with setting up)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
