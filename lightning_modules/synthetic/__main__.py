"""Writes train.csv, val.csv and test.csv (80/10/10) with columns text, intent, complexity, kind.

python -m lightning_modules.synthetic --out data/intent --examples-per-intent 500 --edge-cases 1000 --seed 0
"""

import argparse
import sys
from pathlib import Path

from lightning_modules.errors import UserError
from lightning_modules.synthetic.files import write_csv
from lightning_modules.synthetic.intents import generate


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules.synthetic", description="Generate synthetic intent data."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    parser.add_argument("--examples-per-intent", type=_count, default=500, help="default: %(default)s")
    parser.add_argument("--edge-cases", type=_count, default=1000, help="over all intents; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes; default: %(default)s")
    parser.add_argument(
        "--augment",
        type=_fraction,
        default=0.0,
        metavar="SHARE",
        help="add noisy copies of this share of the training rows, 0 to 1; default: %(default)s",
    )
    options = parser.parse_args(arguments)
    try:
        splits = generate(options.examples_per_intent, options.edge_cases, options.seed, options.augment)
    except UserError as error:
        sys.exit(f"error: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        path = options.out / f"{split}.csv"
        write_csv(path, rows)
        print(f"{path}: {len(rows)} rows")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}: expected 0 or more")
    return number


def _fraction(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 1")
    return number


if __name__ == "__main__":
    main()
