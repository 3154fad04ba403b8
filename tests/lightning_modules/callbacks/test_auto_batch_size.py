"""Test the automatic batch size with a model that is limited to a number of padded tokens, as on a GPU."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_modules import cli
from lightning_modules.callbacks.auto_batch_size import split_batch
from lightning_modules.models.classifier import Classifier
from tests.support.stopped import stopped_before
from tests.support.topics import topics_options, weights

Fit = Callable[..., Path]
SHORT, LONG = 3, 14  # the number of tokens in a row


@pytest.fixture
def fit(tmp_path: Path, tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Train under a name on 176 rows, four of them long, and return the run's last checkpoint."""
    data = tmp_path / "rows.csv"
    words = [("french", "python")[i % 2] for i in range(176)]
    texts = [" ".join([word] * (LONG - 2 if i % 44 == 0 else SHORT - 2)) for i, word in enumerate(words)]
    rows = [("text", "label"), *zip(texts, words, strict=True)]
    data.write_text("".join(f"{text},{label}\n" for text, label in rows))
    parts = [f"--data.val_file={data}", f"--data.test_file={data}"]  # otherwise some long rows would be split off
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])
    monkeypatch.setattr("lightning_modules.cli.finish", lambda *args, **kwargs: [])

    def run(name: str, *more: str) -> Path:
        options = topics_options(tmp_path, tiny_backbone, data)
        cli.main(["fit", "--config=configs/intent.yaml", *options, *parts, f"--name={name}", *more])
        return tmp_path / name / "checkpoints" / "last.ckpt"

    return run


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Record [rows, tokens] of every batch that trained within the limit of `memory`."""
    return []


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, shapes: list[tuple[int, int]]) -> Callable[[int], None]:
    """Limit the padded tokens of a training step."""
    step = Classifier.training_step

    def limit(tokens: int) -> None:
        def limited(self: Classifier, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
            rows, width = batch["input_ids"].shape
            if rows * width > tokens:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {rows} times {width}")
            shapes.append((rows, width))
            return step(self, batch, batch_idx)

        monkeypatch.setattr(Classifier, "training_step", limited)

    return limit


def same(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return all(torch.equal(left[key], right[key]) for key in left)


def test_a_batch_that_fits_gives_the_same_run_as_without_the_callback(fit: Fit) -> None:
    plain, auto = fit("plain"), fit("auto", "--auto_batch_size=true")
    assert same(plain, auto)
    assert sorted(path.name for path in auto.parents[1].iterdir()) == ["checkpoints", "config.yaml", "logs"]


def test_the_longest_rows_decide_and_steps_are_of_the_whole_batch(
    fit: Fit, memory: Callable[[int], None], shapes: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    steps = torch.load(fit("plain"), weights_only=False)["global_step"]
    memory(4 * LONG)
    last = torch.load(fit("auto", "--auto_batch_size=true"), weights_only=False)
    assert "auto_batch_size: 4 rows at a time, 4 times" in capsys.readouterr().out
    assert shapes[0] == (4, LONG)
    assert last["global_step"] == steps
    assert last["lr_schedulers"][0]["last_epoch"] == steps
    rows = sum(rows for rows, _ in shapes[3:])  # three trial steps come first
    assert rows == 2 * 176


def test_a_batch_of_a_small_file_with_repeated_rows_is_tried_in_its_final_form(
    fit: Fit, memory: Callable[[int], None], shapes: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    memory(128 * LONG)
    fit("auto", "--auto_batch_size=true", "--data.batch_size=512", "--data.min_steps_per_epoch=2")
    assert "auto_batch_size: 128 rows at a time, 4 times" in capsys.readouterr().out
    assert shapes[0] == (128, LONG)


def test_a_resumed_run_keeps_its_sizes_and_ends_as_an_uninterrupted_one(
    fit: Fit, memory: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory(4 * LONG)
    auto = ("--auto_batch_size=true", "--trainer.max_epochs=3")
    whole = fit("whole", *auto)

    with stopped_before(1, monkeypatch):
        fit("resumed", *auto)
    capsys.readouterr()
    resumed = fit("resumed", *auto, "--ckpt_path=last")
    assert "rows at a time" not in capsys.readouterr().out
    assert same(whole, resumed)


def test_rows_too_long_to_fit_one_by_one_are_reported(
    fit: Fit, memory: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    memory(8)
    with pytest.raises(SystemExit) as caught:
        fit("auto", "--auto_batch_size=true")
    assert caught.value.code == 2
    assert "error: not even the longest row alone fits into memory" in capsys.readouterr().err


def test_a_run_that_began_without_it_is_not_resumed_with_it(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit("plain")
    with pytest.raises(SystemExit):
        fit("plain", "--auto_batch_size=true", "--ckpt_path=last", "--trainer.max_epochs=3")
    assert "is of a run without --auto_batch_size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "fitting", "shared"), [(64, 64, (64, 1)), (64, 16, (16, 4)), (48, 20, (16, 3)), (50, 12, (10, 5))]
)
def test_the_batch_is_shared_out_evenly(wanted: int, fitting: int, shared: tuple[int, int]) -> None:
    assert split_batch(wanted, fitting) == shared
