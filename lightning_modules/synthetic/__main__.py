"""Writes train.csv, val.csv and test.csv (80/10/10) with columns text, intent, complexity, kind.

python -m lightning_modules.synthetic --out data/intent --examples-per-intent 500 --edge-cases 1000 --seed 0
"""

import argparse
import sys

from lightning_modules.errors import UserError
from lightning_modules.synthetic.files import SyntheticIntents


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules.synthetic",
        description="Generate synthetic intent data.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    default = SyntheticIntents()
    parser.add_argument("--out", default=default.folder, help="folder for the three files")
    parser.add_argument("--examples-per-intent", type=int, default=default.examples_per_intent, help="over all parts")
    parser.add_argument("--edge-cases", type=int, default=default.edge_cases, help="over all intents and parts")
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same bytes")
    parser.add_argument(
        "--augment", type=float, default=default.augment, help="share of the training rows added again with noise"
    )
    given = parser.parse_args(arguments)
    try:
        settings = SyntheticIntents(given.out, given.examples_per_intent, given.edge_cases, given.seed, given.augment)
        paths = settings.write()
    except UserError as error:
        sys.exit(f"error: {error}")
    print("\n".join(paths.values()))


if __name__ == "__main__":
    main()
