"""Runs that go on where they were, and what stops them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules import cli
from lightning_modules.models.classifier import Classifier
from tests.support.full_disk import full_beyond
from tests.support.stopped import stopped_before
from tests.support.topics import weights, write_topics


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_modules.cli.finish", lambda *args, **kwargs: [])
    cli.main(arguments(epochs=4, name="whole"))
    cli.main(arguments(epochs=4, name="again"))
    whole, again = (weights(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "again"))
    assert all(torch.equal(whole[key], again[key]) for key in whole)

    with stopped_before(2, monkeypatch):
        cli.main(arguments(epochs=4, name="resumed"))
    cli.main(arguments("--ckpt_path=last", epochs=4, name="resumed"))
    resumed = weights(tmp_path / "resumed" / "checkpoints" / "last.ckpt")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    for name in ("whole", "again", "resumed"):
        saved = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=False)
        records = saved["callbacks"]["History"]["records"]
        assert [record["epoch"] for record in records if "val_loss" in record] == [0, 0, 1, 2, 3]


def test_a_run_resumed_within_an_epoch_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine batches an epoch, validated after three, six and nine."""
    monkeypatch.setattr("lightning_modules.cli.finish", lambda *args, **kwargs: [])
    often = ("--trainer.val_check_interval=0.34", "--early_stopping.patience=100")
    cli.main(arguments(*often, epochs=3, name="whole"))
    last = {name: tmp_path / name / "checkpoints" / "last.ckpt" for name in ("whole", "resumed")}

    class Stop(Exception):
        pass

    def stop_in_the_second_epoch(self: Any, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 7):
            raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        name = "lightning_modules.callbacks.history.History.on_train_batch_start"
        patch.setattr(name, stop_in_the_second_epoch, raising=False)
        cli.main(arguments(*often, epochs=3, name="resumed"))
    assert torch.load(last["resumed"], weights_only=False)["global_step"] == 9 + 6
    seen: list[tuple[int, int]] = []

    def record(self: Any, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        seen.append((trainer.current_epoch, batch_idx))

    with monkeypatch.context() as patch:
        patch.setattr("lightning_modules.callbacks.history.History.on_train_batch_start", record, raising=False)
        cli.main(arguments(*often, "--ckpt_path=last", epochs=3, name="resumed"))
    assert seen == [*((1, i) for i in range(6, 9)), *((2, i) for i in range(9))]
    whole, resumed = (weights(path) for path in last.values())
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    histories = [torch.load(path, weights_only=False)["callbacks"]["History"]["records"] for path in last.values()]
    validated = [(record["epoch"], record["step"]) for record in histories[0] if "val_loss" in record]
    assert validated[:4] == [(0, 0), (0, 3), (0, 6), (0, 9)]
    assert histories[0] == histories[1]


def test_a_run_is_not_resumed_on_other_labels(
    tmp_path: Path, arguments: Any, one_epoch: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """As many of them, so that the weights would fit."""
    other = write_topics(tmp_path / "other.csv")
    other.write_text(other.read_text().replace(",food,", ",drinks,"))
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments("--ckpt_path=last", f"--data.train_file={other}", epochs=3))
    assert caught.value.code == 2
    said = "error: the checkpoint is of a run with other labels (drinks, food): begin anew, without --ckpt_path"
    assert said in capsys.readouterr().err
    assert read_folder(tmp_path / "topics" / "checkpoints") == one_epoch


@pytest.fixture
def one_epoch(tmp_path: Path, arguments: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The checkpoints of a run that has trained for one epoch."""
    monkeypatch.setattr("lightning_modules.cli.finish", lambda *args, **kwargs: [])
    cli.main(arguments(epochs=1))
    return read_folder(tmp_path / "topics" / "checkpoints")


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_is_told_in_one_line_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, arguments: Any, one_epoch: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    further = arguments("--ckpt_path=last", epochs=3)
    with full_beyond(200_000), pytest.raises(SystemExit) as caught:
        cli.main(further)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert errors.splitlines()[-1].startswith("error: the disk is full: ")
    assert "Traceback" not in errors
    assert set(one_epoch) == {"best.ckpt", "last.ckpt"}
    assert read_folder(tmp_path / "topics" / "checkpoints") == one_epoch
    cli.main(further)
    last = torch.load(tmp_path / "topics" / "checkpoints" / "last.ckpt", weights_only=False)
    assert (last["epoch"], last["global_step"]) == (2, 27)


def test_memory_that_does_not_suffice_is_told_in_one_line_and_leaves_the_checkpoints(
    tmp_path: Path,
    arguments: Any,
    one_epoch: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Classifier, "training_step", lambda *args: torch.empty(1 << 60))
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments("--ckpt_path=last", epochs=3))
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert errors.splitlines()[-1].startswith("error: out of memory: ")
    assert "Traceback" not in errors
    assert read_folder(tmp_path / "topics" / "checkpoints") == one_epoch
