"""Log to MLflow, where it is asked for: runs with their environment, and the finished model in the registry.

The store is `<runs_dir>/mlflow.db`, or the server that MLFLOW_TRACKING_URI names.
"""

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import requests

from lightning_modules.errors import UserError
from lightning_modules.export.files import git_commit

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger, MLFlowLogger

ALIAS = "champion"  # alias in the registry of the model that passed its gates last


def make_logger(experiment: str, runs_dir: str, **settings: Any) -> "MLFlowLogger":
    """Make a run that begins with its first use, with its environment as tags; `settings` are MLFlowLogger's.

    Raises:
        UserError: the package mlflow is not installed, or the server does not answer.
    """
    try:
        import mlflow  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError("--mlflow needs the package mlflow: make setup EXTRAS=mlflow") from error
    from lightning.pytorch.loggers import MLFlowLogger

    runs, files = store(runs_dir)
    _require_answer(runs)
    settings["tags"] = {**environment(), **settings.get("tags", {})}
    return MLFlowLogger(experiment, tracking_uri=runs, artifact_location=files, **settings)


def store(runs_dir: str) -> tuple[str, str | None]:
    """Return the places of the runs and of their files; a server decides itself about the files."""
    if server := os.environ.get("MLFLOW_TRACKING_URI"):
        return server, None
    folder = Path(runs_dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlflow-artifacts").as_uri()


def _require_answer(server: str) -> None:
    # MLflow itself would try for minutes.
    if server.startswith("http"):
        try:
            requests.get(f"{server.rstrip('/')}/health", timeout=20)
        except requests.RequestException as error:
            raise UserError(
                f"no MLflow server answers at MLFLOW_TRACKING_URI {server} ({type(error).__name__})"
            ) from error


def environment() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{library: metadata.version(library) for library in ("torch", "lightning", "transformers")},
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu_count": str(os.cpu_count()),
        "git_commit": git_commit() or "none",
    }


def publish(logger: "Logger", name: str, run: Path, *, passed: bool) -> None:
    """Add configuration, report and, if it `passed` its gates, the model in the registry; do nothing without MLflow.

    The model is the exported folder, a version of the registered model `name`.
    """
    if not is_mlflow(logger):
        return
    client, run_id = logger.experiment, logger.run_id
    client.log_artifact(run_id, str(run / "config.yaml"))
    client.log_artifacts(run_id, str(run / "report"), "report")
    if not passed:
        return
    forms = json.loads((run / "export" / "metadata.json").read_text(encoding="utf-8"))["metrics"]
    logger.log_metrics({f"{form}/{key}": value for form, row in forms.items() for key, value in numbers(row).items()})
    client.log_artifacts(run_id, str(run / "export"), "export")
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/export"
    version = client.create_model_version(name, source, run_id).version
    client.set_registered_model_alias(name, ALIAS, version)
    print(f"registered: {name} version {version}, alias {ALIAS}")


def is_mlflow(logger: "Logger") -> TypeGuard["MLFlowLogger"]:
    """Return whether the logger is MLflow's, without importing mlflow, which may not be installed."""
    return type(logger).__name__ == "MLFlowLogger"


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items() if isinstance(value, int | float)}
