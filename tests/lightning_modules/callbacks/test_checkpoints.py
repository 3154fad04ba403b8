"""Test checkpoints on a disk that becomes full, and those of a run whose folder was moved."""

import errno
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules import cli
from lightning_modules.callbacks.checkpoints import AtomicCheckpointIO
from lightning_modules.errors import UserError
from lightning_modules.finish import best_checkpoint, load_best
from tests.support.full_disk import full_beyond
from tests.support.topics import topics_options, write_topics


def test_a_checkpoint_on_a_full_disk_leaves_the_earlier_one_and_names_the_path(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "best.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(1000)}, path)
    for elements in (100_000, 30_000):
        with full_beyond(100_000), pytest.raises(OSError) as caught:
            AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(elements)}, path)
        assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert torch.equal(torch.load(path)["weights"], torch.ones(1000))
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_checkpoint_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)
    before = path.read_bytes()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Record trainer and model of each training, and skip the steps that follow it."""
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])  # LightningCLI warns of other arguments in sys.argv
    seen: list[tuple[Any, Any]] = []
    monkeypatch.setattr(cli, "finish", lambda trainer, model, *args, **kwargs: seen.append((trainer, model)) or [])
    return seen


@pytest.fixture
def fit(tmp_path: Path, tiny_backbone: Path) -> Any:
    data = write_topics(tmp_path / "topics.csv")

    def run(runs: Path, *more: str) -> None:
        cli.main(["fit", "--config=configs/intent.yaml", *topics_options(runs, tiny_backbone, data), *more])

    return run


@pytest.mark.parametrize("old_place", ["gone", "another's"])
def test_a_moved_run_keeps_its_best_checkpoint_and_its_score(
    tmp_path: Path, fit: Any, finished: list[tuple[Any, Any]], old_place: str
) -> None:
    fit(tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    if old_place == "gone":
        shutil.rmtree(tmp_path / "old")
    fit(tmp_path / "new", "--ckpt_path=last")
    (before, _), (after, model) = finished
    folder = tmp_path / "new" / "topics" / "checkpoints"
    assert best_checkpoint(after).best_model_path == str(folder / "best.ckpt")
    assert best_checkpoint(after).best_model_score == best_checkpoint(before).best_model_score
    with torch.no_grad():
        model.network.head.bias.fill_(7.0)
    load_best(after, model)
    best = torch.load(folder / "best.ckpt", weights_only=False)["state_dict"]
    assert torch.equal(model.network.head.bias, best["network.head.bias"])
    (folder / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"best\.ckpt is not there any more"):
        load_best(after, model)


def test_a_checkpoint_of_another_run_brings_no_best_one_into_this_folder(
    tmp_path: Path, fit: Any, finished: list[tuple[Any, Any]]
) -> None:
    fit(tmp_path / "one")
    other = tmp_path / "one" / "topics" / "checkpoints"
    fit(tmp_path / "two", f"--ckpt_path={other / 'last.ckpt'}")
    assert best_checkpoint(finished[1][0]).best_model_path == str(other / "best.ckpt")
