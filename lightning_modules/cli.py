"""Define the command line: LightningCLI plus a run folder, early stopping, gates and export."""

import pkgutil
import re
import sys
from argparse import ArgumentError
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from lightning_modules import skipping, tracking
from lightning_modules.callbacks.auto_batch_size import AutoBatchSize
from lightning_modules.callbacks.checkpoints import AtomicCheckpointIO, LastCheckpoint, RelocatedCheckpoint
from lightning_modules.callbacks.history import History, Throughput
from lightning_modules.callbacks.monitor_check import MonitorCheck
from lightning_modules.callbacks.progress import Progress
from lightning_modules.callbacks.step_seed import StepSeed
from lightning_modules.errors import UserError
from lightning_modules.export.checkpoints import student_backbone
from lightning_modules.failures import find_mendable, quiet_libraries
from lightning_modules.finish import callbacks, finish, task_for
from lightning_modules.options import OptionError, explain, one_of, suggestion
from lightning_modules.settings import Export, Gate, Search
from lightning_modules.stages import STAGES

# Commands besides `fit`: each one's module, which has a function of the same name, and its purpose.
COMMANDS = {
    "train": ("lightning_modules.train", "trains tasks by their names"),
    "distil": ("lightning_modules.distillation.distil", "trains students with and without a teacher"),
    "tune": ("lightning_modules.tuning.tune", "searches for the best settings"),
    "compare": ("lightning_modules.comparison.compare", "measures finished models side by side"),
}
HELP = "Further commands, each with its own --help: " + "; ".join(
    f"{name} {purpose}" for name, (_, purpose) in COMMANDS.items()
)


class RunConfig(SaveConfigCallback):
    """Save the whole configuration as `config.yaml` in the run folder, replacing that of an earlier run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "overwrite": True, "save_to_log_dir": False})

    def save_config(self, trainer: Any, pl_module: Any, stage: str) -> None:
        write_config(self.parser, self.config, Path(trainer.default_root_dir))


class BundleCLI(LightningCLI):
    """The command line of `fit`: train into `<runs_dir>/<name>/`, evaluate, check the gates, and export.

    Raises:
        OptionError: an option or a YAML key is unknown, or its value has the wrong type.
    """

    def __init__(self, args: list[str], *, run: bool = True) -> None:
        try:
            super().__init__(
                args=args,
                run=run,
                save_config_callback=RunConfig,
                # Validate on the whole validation split before training: the curve starts there.
                trainer_defaults={"num_sanity_val_steps": -1},
                auto_configure_optimizers=False,
                # An abbreviated or misspelled option must not stand for a longer one.
                parser_kwargs={"allow_abbrev": False, "exit_on_error": False, "epilog": HELP},
            )
        except ArgumentError as error:
            raise OptionError(explain(error, self._options(run))) from error

    def _options(self, run: bool) -> list[str]:
        parser = self._parser("fit" if run else None)
        return [*parser.get_defaults().keys(), "config", "print_config", "help"]

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {"fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str, required=True, help="name of the model, and of its folder in runs_dir")
        parser.add_argument("--runs_dir", type=str, default="runs", help="folder of the run folders")
        parser.add_argument("--enable", type=bool, default=True, help="false: skip the stage, with exit code 0")
        parser.add_argument(
            "--require_cuda", type=bool, default=False, help="true: skip the stage on a machine without CUDA"
        )
        parser.add_argument("--mlflow", type=bool, default=False, help="log to MLflow too (MLFLOW_TRACKING_URI)")
        parser.add_argument(
            "--auto_batch_size",
            type=bool,
            default=False,
            help="run as many rows at a time as fit into memory, and accumulate gradients up to data.batch_size",
        )
        parser.add_argument(
            "--seeds",
            type=int,
            nargs="+",
            default=[0, 1, 2],
            help="seeds of `distil`: each trains one pair of students",
        )
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
        for attribute in ("labels", "complexity_labels", "class_counts"):
            parser.link_arguments(f"data.{attribute}", f"model.init_args.{attribute}", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        if self.subcommand and skipped(self.settings, self.subcommand):
            sys.exit()
        STAGES.begin("data")
        trainer = self.settings["trainer"]
        if trainer["precision"] is None:
            trainer["precision"] = best_precision(trainer["accelerator"])

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        settings = self.settings["trainer"]
        if settings["logger"] is None:
            kwargs["logger"] = self._loggers()
        elif self.settings["mlflow"]:
            raise UserError("--trainer.logger and --mlflow true: give one of them")
        if settings["enable_progress_bar"] is None:
            kwargs["enable_progress_bar"] = sys.stdout.isatty()
        kwargs["callbacks"] = [*(self._initialized("trainer")["callbacks"] or []), *self._callbacks()]
        trainer = super().instantiate_trainer(**kwargs)
        # Added after the trainer's first checkpoint callback, which has the settings `checkpoint.*` and keeps the best.
        callbacks(trainer).append(LastCheckpoint(Path(trainer.default_root_dir) / "checkpoints"))
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()
        return trainer

    def _callbacks(self) -> list[Callback]:
        usual = [History(), Throughput(), MonitorCheck(), StepSeed(), Progress(), RelocatedCheckpoint()]
        return [*usual, AutoBatchSize(self.datamodule.batch_size)] if self.settings["auto_batch_size"] else usual

    def before_fit(self) -> None:
        self._initialized("gate").refuse_unknown(task_for(type(self.model)).gate_metrics)
        checkpoint = self.settings["ckpt_path"]
        if checkpoint and checkpoint not in ("best", "last", "hpc") and not Path(checkpoint).exists():
            raise UserError(f"--ckpt_path {checkpoint}: there is no such checkpoint; the run's own is `last`")
        self.print_notes()

    def print_notes(self) -> None:
        """Print which parts of the data training cannot read or learn from."""
        if self.trainer.is_global_zero:
            for note in self.datamodule.notes():
                print(f"note: {note}")

    def after_fit(self) -> None:
        """Evaluate, check the gates and export, in the first process only; exit with code 1 if a gate is missed."""
        if not self.trainer.is_global_zero or self.settings["trainer"]["fast_dev_run"]:
            return
        misses = finish(
            self.trainer,
            self.model,
            self.datamodule,
            name=self.settings["name"],
            gate=self._initialized("gate"),
            settings=self._initialized("export"),
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

    def _initialized(self, key: str) -> Any:
        return self._get(self.config_init, key)

    def _loggers(self) -> list[Logger]:
        folder, name = run_folder(self.settings["runs_dir"], self.settings["name"]), self.settings["name"]
        loggers: list[Logger] = [TensorBoardLogger(folder, name="logs")]
        if self.settings["mlflow"]:
            loggers.append(self.mlflow_logger(name, self.settings["runs_dir"]))
        return loggers

    def mlflow_logger(self, name: str, runs_dir: str) -> Logger:
        return tracking.make_logger(name, runs_dir, run_name="fit")


class SettingsCLI(BundleCLI):
    """A command line that only parses and checks the settings; use it with `run=False`."""

    def instantiate_classes(self) -> None:
        """Instantiate neither model, data nor trainer."""


def skipped(settings: Any, stage: str, folder: Path | None = None) -> bool:
    """Return whether the settings skip the stage, and record a skip in `folder`, by default the run folder."""
    why = skipping.skip_reason(enable=settings["enable"], require_cuda=settings["require_cuda"])
    if why is not None:
        record_skip(settings, stage, why, folder)
    return why is not None


def record_skip(settings: Any, stage: str, why: str, folder: Path | None = None) -> None:
    run = folder or Path(run_folder(settings["runs_dir"], settings["name"]))
    metrics = task_for(pkgutil.resolve_name(settings["model"]["class_path"])).gate_metrics
    skipping.skip(run, name=settings["name"], stage=stage, why=why, metrics=metrics)


def backbone_of(model: Any) -> str:
    """Return the backbone named in a model's settings, or the teacher's for a student without one."""
    settings: Any = model.init_args if model else {}
    if "teacher" not in settings:
        return str(settings.get("backbone"))
    try:
        return student_backbone(settings.teacher, settings.backbone)
    except UserError:
        return str(settings.teacher)  # a skipped teacher has no export; the model raises this error again


def run_folder(runs_dir: str, name: str) -> str:
    """Return `<runs_dir>/<name>`. The name is restricted, because the archive and the URL contain it too."""
    if name is None:
        raise UserError("--name is missing: give it, or --config with a task's YAML, such as configs/intent.yaml")
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"--name {name!r}: use the letters a-z, digits, - and _ only, a letter or digit first")
    return str(Path(runs_dir) / name)


def checkpoints(runs_dir: str, name: str) -> str:
    return str(Path(run_folder(runs_dir, name)) / "checkpoints")


def write_config(parser: LightningArgumentParser, config: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parser.save(config, folder / "config.yaml", skip_unset=False, overwrite=True, multifile=False)


def best_precision(accelerator: str) -> str:
    """Return the trainer's name for fp16 on CUDA and Apple's MPS, bf16 on CPUs that support it, else fp32.

    `accelerator` is the trainer's setting; `auto` looks at the machine.
    """
    if accelerator in ("cuda", "gpu", "auto") and torch.cuda.is_available():
        return "16-mixed"
    if accelerator in ("mps", "gpu", "auto") and torch.backends.mps.is_available():
        return "16-mixed"
    cpu = torch.cpu.get_capabilities()
    has_bf16 = cpu.get("avx512_bf16") or cpu.get("amx_bf16") or cpu.get("arm_bf16")
    return "bf16-mixed" if torch.backends.mkldnn.is_available() and has_bf16 else "32-true"


def main(args: list[str] | None = None) -> None:
    """Run the command line. An error that the user can fix ends with one line and exit code 2."""
    args = sys.argv[1:] if args is None else args
    quiet_libraries()
    try:
        _run(args)
    except Exception as error:
        mendable = find_mendable(error)
        if mendable is None:
            raise
        print(f"error: {mendable}", file=sys.stderr)
        sys.exit(2)


def _run(args: list[str]) -> None:
    command = args[0] if args else ""
    if command not in COMMANDS and command not in ("fit", "--help", "-h"):
        known = ["fit", *COMMANDS]
        if not command:
            raise UserError(f"there is no command: give {one_of(known)}")
        raise UserError(f"there is no command {command}{suggestion(command, known) or f': give {one_of(known)}'}")
    try:
        if command in COMMANDS:
            module, _ = COMMANDS[command]
            getattr(import_module(module), command)(args[1:])  # imported here, because those modules import this one
        else:
            BundleCLI(args)
    finally:
        if command in ("fit", "distil"):
            print_times()


@rank_zero_only
def print_times() -> None:
    """Print how long each stage took, if a model was trained."""
    trained = "training" in STAGES.seconds
    times = STAGES.end()
    if trained:
        print(f"time: {times}")
