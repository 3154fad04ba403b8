"""Writes train, val and test of one generator.

python -m lightning_modules.synthetic intents --out data/intent --examples-per-intent 500 --edge-cases 1000 --seed 0
python -m lightning_modules.synthetic questions --out data/qa --passages 440 --seed 0
python -m lightning_modules.synthetic sentiment --out data/sentiment --examples 4000 --seed 0
"""

import argparse
import sys

from lightning_modules.errors import UserError
from lightning_modules.synthetic.intents import SyntheticIntents
from lightning_modules.synthetic.questions import SyntheticQuestions
from lightning_modules.synthetic.sentiment import SyntheticSentiment


def main(arguments: list[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    try:
        print("\n".join(given.settings(given).write().values()))
    except UserError as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules.synthetic", description="Generate synthetic data.", allow_abbrev=False
    )
    kinds = parser.add_subparsers(required=True, metavar="intents|questions|sentiment")
    for name, files, add_options in (
        ("intents", "train.csv, val.csv and test.csv", _add_intents),
        ("questions", "train.json, val.json and test.json, in SQuAD's format", _add_questions),
        ("sentiment", "train.csv, val.csv and test.csv", _add_sentiment),
    ):
        add_options(
            kinds.add_parser(
                name, help=files, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
            )
        )
    return parser


def _add_intents(parser: argparse.ArgumentParser) -> None:
    default = SyntheticIntents()
    parser.add_argument("--out", default=default.folder, help="folder for the three files")
    parser.add_argument("--examples-per-intent", type=int, default=default.examples_per_intent, help="over all parts")
    parser.add_argument("--edge-cases", type=int, default=default.edge_cases, help="over all intents and parts")
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same bytes")
    parser.add_argument(
        "--augment", type=float, default=default.augment, help="share of the training rows added again with noise"
    )
    parser.set_defaults(
        settings=lambda given: SyntheticIntents(
            given.out, given.examples_per_intent, given.edge_cases, given.seed, given.augment
        )
    )


def _add_questions(parser: argparse.ArgumentParser) -> None:
    default = SyntheticQuestions()
    parser.add_argument("--out", default=default.folder, help="folder for the three files")
    parser.add_argument("--passages", type=int, default=default.passages, help="for training")
    parser.add_argument("--val-passages", type=int, default=default.val_passages, help="for validation")
    parser.add_argument("--test-passages", type=int, default=default.test_passages, help="for the test")
    parser.add_argument("--long-share", type=float, default=default.long_share, help="share of contexts made long")
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same bytes")
    parser.set_defaults(
        settings=lambda given: SyntheticQuestions(
            given.out, given.passages, given.seed, given.val_passages, given.test_passages, given.long_share
        )
    )


def _add_sentiment(parser: argparse.ArgumentParser) -> None:
    default = SyntheticSentiment()
    parser.add_argument("--out", default=default.folder, help="folder for the three files")
    parser.add_argument("--examples", type=int, default=default.examples, help="over all parts")
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same bytes")
    parser.set_defaults(settings=lambda given: SyntheticSentiment(given.out, given.examples, given.seed))


if __name__ == "__main__":
    main()
