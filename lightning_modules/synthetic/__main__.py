"""Write the training, validation and test files of one generator.

python -m lightning_modules.synthetic intents --out data/intent --examples-per-intent 500 --edge-cases 1000 --seed 0
python -m lightning_modules.synthetic questions --out data/qa --passages 440 --seed 0
python -m lightning_modules.synthetic sentiment --out data/sentiment --examples 4000 --seed 0
"""

import sys

from jsonargparse import ArgumentParser

from lightning_modules.errors import UserError
from lightning_modules.synthetic.intents import SyntheticIntents
from lightning_modules.synthetic.questions import SyntheticQuestions
from lightning_modules.synthetic.sentiment import SyntheticSentiment

GENERATORS = {"intents": SyntheticIntents, "questions": SyntheticQuestions, "sentiment": SyntheticSentiment}


def main(arguments: list[str] | None = None) -> None:
    parser = ArgumentParser(prog="python -m lightning_modules.synthetic", allow_abbrev=False)
    commands = parser.add_subcommands()
    for name, generator in GENERATORS.items():
        command = ArgumentParser(allow_abbrev=False)
        command.add_class_arguments(generator)
        commands.add_subcommand(name, command, help=str(generator.__doc__).splitlines()[0])
    options = parser.parse_args(
        [as_setting(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]
    )
    try:
        settings = GENERATORS[options.subcommand](**options[options.subcommand])
        print("\n".join(settings.write().values()))
    except UserError as error:
        sys.exit(f"error: {error}")


def as_setting(argument: str) -> str:
    """Spell an option as the YAML does: `--edge-cases` is `--edge_cases`, and `--out` is `--folder`."""
    option, equals, value = argument.partition("=")
    if not option.startswith("--"):
        return argument
    return ("--folder" if option == "--out" else f"--{option[2:].replace('-', '_')}") + equals + value


if __name__ == "__main__":
    main()
