"""In: seconds. Out: the fuzz tests again and again, with other seeds and many examples, until the time is over.

``python -m tests.security.fuzz --seconds 300 --seed 7``; it ends at the first fault, and names the seed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).with_name("test_fuzz.py")


def main() -> int:
    options = argparse.ArgumentParser(description="Fuzz every parser of outside input.")
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--seed", type=int, default=random.randrange(2**31))
    options.add_argument("--examples", type=int, default=1_000)
    given = options.parse_args()
    end, seed, rounds = time.monotonic() + given.seconds, given.seed, 0
    while rounds == 0 or time.monotonic() < end:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "--timeout", "600"]
        print(f"seed {seed}", flush=True)
        environment = os.environ | {"FUZZ_EXAMPLES": str(given.examples)}
        command += ["--hypothesis-profile", "deep", f"--hypothesis-seed={seed}", str(TESTS)]
        if code := subprocess.run(command, env=environment, check=False).returncode:
            print(f"to see it again: make fuzz ARGS='--seed {seed} --seconds 1'")
            return code
        seed, rounds = seed + 1, rounds + 1
    print(f"{rounds} rounds of {given.examples} examples for each parser, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
