"""The command line: LightningCLI with a run folder, early stopping, gates and export."""

import pkgutil
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from lightning_modules import skipping, tracking
from lightning_modules.callbacks.checkpoint_io import WholeCheckpointIO
from lightning_modules.callbacks.fitting_batch import FittingBatch
from lightning_modules.callbacks.history import History
from lightning_modules.callbacks.known_monitor import KnownMonitor
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.callbacks.throughput import Throughput
from lightning_modules.devices import best_precision
from lightning_modules.errors import UserError
from lightning_modules.export.checkpoints import student_backbone
from lightning_modules.failures import find_mendable, quiet_libraries
from lightning_modules.finish import finish, task_for, task_of
from lightning_modules.settings import Export, Gate, Search


class BundleCLI(LightningCLI):
    """`fit` trains into `<runs_dir>/<name>/`, then evaluates, exports and holds the gates."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {"fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str, required=True, help="the model's name, and its folder under runs_dir")
        parser.add_argument("--runs_dir", type=str, default="runs", help="where run folders are made")
        parser.add_argument("--enable", type=bool, default=True, help="false: skip the stage, with exit code 0")
        parser.add_argument("--require_cuda", type=bool, default=False, help="true: skip the stage where there is none")
        parser.add_argument("--mlflow", type=bool, default=False, help="log to MLflow too (MLFLOW_TRACKING_URI)")
        parser.add_argument(
            "--auto_batch_size",
            type=bool,
            default=False,
            help="run as many rows at a time as fit into memory, and accumulate them to data.batch_size",
        )
        parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the students of `distil`")
        parser.add_class_arguments(Gate, "gate")
        parser.add_class_arguments(Export, "export")
        parser.add_class_arguments(Search, "tune")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults({"checkpoint.filename": "best", "checkpoint.enable_version_counter": False})
        parser.link_arguments("early_stopping.monitor", "checkpoint.monitor")
        parser.link_arguments("early_stopping.mode", "checkpoint.mode")
        parser.link_arguments(("runs_dir", "name"), "checkpoint.dirpath", compute_fn=checkpoints)
        parser.link_arguments(("runs_dir", "name"), "trainer.default_root_dir", compute_fn=run_folder)
        parser.link_arguments("model", "data.init_args.backbone", compute_fn=backbone_of)
        for fact in ("labels", "complexity_labels", "class_counts"):
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        if self.subcommand and skipped(self.settings, self.subcommand):
            sys.exit()
        trainer = self.settings["trainer"]
        if trainer["precision"] is None:
            trainer["precision"] = best_precision(trainer["accelerator"])

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        if self.settings["trainer"]["logger"] is None:
            kwargs["logger"] = self._loggers()
        elif self.settings["mlflow"]:
            raise UserError("--trainer.logger and --mlflow true: give one of them")
        trainer = super().instantiate_trainer(**kwargs)
        last = LastCheckpoint(Path(trainer.default_root_dir) / "checkpoints")  # the monitored one keeps the best only
        trainer.callbacks.append(last)  # type: ignore[attr-defined]
        if self.settings["auto_batch_size"]:
            trainer.callbacks.append(FittingBatch())  # type: ignore[attr-defined]
        trainer.strategy.checkpoint_io = WholeCheckpointIO()
        return trainer

    def before_fit(self) -> None:
        self._initialised("gate").refuse_unknown(task_of(self.model).gate_metrics)
        self.tell_notes()

    def tell_notes(self) -> None:
        """What of the data training cannot read or teach."""
        if self.trainer.is_global_zero:
            for note in self.datamodule.notes():
                print(f"note: {note}")

    def after_fit(self) -> None:
        """Evaluates, exports and holds the gates, on the first process only; exit code 1 when one is missed."""
        if not self.trainer.is_global_zero or self.settings["trainer"]["fast_dev_run"]:
            return
        misses = finish(
            self.trainer,
            self.model,
            self.datamodule,
            name=self.settings["name"],
            gate=self._initialised("gate"),
            settings=self._initialised("export"),
        )
        if not misses:
            skipping.clear(Path(self.trainer.default_root_dir))
        for logger in self.trainer.loggers:
            tracking.publish(logger, self.settings["name"], Path(self.trainer.default_root_dir), passed=not misses)
        if misses:
            sys.exit("gate: " + "; ".join(misses))

    @property
    def settings(self) -> Any:
        """The parsed configuration of the subcommand."""
        return self.config[self.subcommand] if self.subcommand else self.config

    def _initialised(self, key: str) -> Any:
        return self._get(self.config_init, key)

    def _loggers(self) -> list[Logger]:
        folder, name = run_folder(self.settings["runs_dir"], self.settings["name"]), self.settings["name"]
        loggers: list[Logger] = [TensorBoardLogger(folder, name="logs")]
        if self.settings["mlflow"]:
            loggers.append(self.mlflow_logger(name, self.settings["runs_dir"]))
        return loggers

    def mlflow_logger(self, name: str, runs_dir: str) -> Logger:
        return tracking.make_logger(name, runs_dir, run_name="fit")


def skipped(settings: Any, stage: str, folder: Path | None = None) -> bool:
    """Whether the stage is not to run, by its settings, which is then recorded in the `folder` [the run's]."""
    why = skipping.skip_reason(enable=settings["enable"], require_cuda=settings["require_cuda"])
    if why is not None:
        record_skip(settings, stage, why, folder)
    return why is not None


def record_skip(settings: Any, stage: str, why: str, folder: Path | None = None) -> None:
    run = folder or Path(run_folder(settings["runs_dir"], settings["name"]))
    figures = task_for(pkgutil.resolve_name(settings["model"]["class_path"])).gate_metrics
    skipping.skip(run, name=settings["name"], stage=stage, why=why, figures=figures)


def backbone_of(model: Any) -> str:
    """The backbone that a model's settings name; a student without one has its teacher's."""
    settings: Any = model.init_args if model else {}
    if "teacher" not in settings:
        return str(settings.get("backbone"))
    try:
        return student_backbone(settings.teacher, settings.backbone)
    except UserError:
        return str(settings.teacher)  # here the parser would bury the reason in its usage; the model tells it again


class SettingsCLI(BundleCLI):
    """Reads and checks the settings, and makes nothing of them; to be used with `run=False`."""

    def instantiate_classes(self) -> None:
        """Nothing is made."""


def run_folder(runs_dir: str, name: str) -> str:
    """`<runs_dir>/<name>`; a name is one plain folder name, since the archive and the URL carry it too."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"--name {name!r}: use the letters a-z, digits, - and _ only, a letter or digit first")
    return str(Path(runs_dir) / name)


def checkpoints(runs_dir: str, name: str) -> str:
    return str(Path(run_folder(runs_dir, name)) / "checkpoints")


class RunConfig(SaveConfigCallback):
    """Saves the whole configuration as `config.yaml` in the run folder, over that of an earlier run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "overwrite": True, "save_to_log_dir": False})

    def save_config(self, trainer: Any, pl_module: Any, stage: str) -> None:
        write_config(self.parser, self.config, Path(trainer.default_root_dir))


def write_config(parser: LightningArgumentParser, config: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parser.save(config, folder / "config.yaml", skip_none=False, overwrite=True, multifile=False)


SETTINGS: dict[str, Any] = {
    "save_config_callback": RunConfig,
    # the sanity check takes the whole validation part: its figures are those before training
    "trainer_defaults": {
        "callbacks": [History(), KnownMonitor(), StepSeed(), Throughput()],
        "num_sanity_val_steps": -1,
    },
    "auto_configure_optimizers": False,
    # a misspelt option must not be taken for a longer one
    "parser_kwargs": {"allow_abbrev": False},
}


# Commands beside `fit`: where each is, and what it does.
COMMANDS = {
    "distil": ("lightning_modules.distillation.distil", "trains students with and without a teacher"),
    "tune": ("lightning_modules.tuning.tune", "searches the best settings"),
    "compare": ("lightning_modules.comparison.compare", "puts finished models side by side"),
}
HELP = "Further commands, each with its own --help: " + "; ".join(
    f"{name} {does}" for name, (_, does) in COMMANDS.items()
)


def main(args: list[str] | None = None) -> None:
    """Runs the command line; what a person can mend ends as one line and exit code 2."""
    args = sys.argv[1:] if args is None else args
    quiet_libraries()
    try:
        if args and args[0] in COMMANDS:
            module, _ = COMMANDS[args[0]]
            getattr(import_module(module), args[0])(args[1:])  # they need this module
        else:
            BundleCLI(args=args, **{**SETTINGS, "parser_kwargs": {**SETTINGS["parser_kwargs"], "epilog": HELP}})
    except Exception as error:
        mendable = find_mendable(error)
        if mendable is None:
            raise
        print(f"error: {mendable}", file=sys.stderr)
        sys.exit(2)
