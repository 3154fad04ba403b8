"""A data module by its settings alone, without a model and a trainer."""

from typing import Any

from jsonargparse import ArgumentParser
from lightning import LightningDataModule


def data_module(settings: Any) -> Any:
    """Of what a configuration has under `data`: `class_path` and `init_args`."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningDataModule, "data")
    return parser.instantiate(parser.parse_object({"data": settings})).data
