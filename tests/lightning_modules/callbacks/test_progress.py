"""Test the lines that report the progress of a training, with a clock that the test sets."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lightning_modules.callbacks.progress import Progress


@pytest.fixture
def trainer() -> Any:
    return SimpleNamespace(
        estimated_stepping_batches=400,
        accumulate_grad_batches=2,
        current_epoch=1,
        max_epochs=4,
        global_step=100,
        num_val_batches=[20],
        sanity_checking=False,
        is_global_zero=True,
        progress_bar_callback=None,
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def start_progress(trainer: Any, clock: Clock) -> Any:
    progress: Any = Progress(clock)
    progress.on_fit_start(trainer, None)
    progress.on_train_start(trainer, None)
    return progress


def test_every_half_minute_a_line_says_where_the_training_is(trainer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = start_progress(trainer, clock)
    outputs = {"loss": torch.tensor(0.25)}  # divided by the batches of a step, as Lightning does
    for clock.now, trainer.global_step in (
        (10.0, 110),
        (29.0, 125),
        (31.0, 131),
        (45.0, 140),
        (60.9, 145),
        (62.0, 162),
    ):
        progress.on_train_batch_end(trainer, None, outputs, None, 0)
    assert capsys.readouterr().out.splitlines() == [
        "training: step 131 of 400, epoch 2 of 4, loss 0.5000, 4 min 29 s left",
        "training: step 162 of 400, epoch 2 of 4, loss 0.5000, 3 min 58 s left",
    ]
    clock.now = 95
    progress.on_validation_batch_end(trainer, None, None, None, 4)
    assert capsys.readouterr().out == "validation: batch 5 of 20, epoch 2\n"


@pytest.mark.parametrize("change", [{"progress_bar_callback": object()}, {"is_global_zero": False}])
def test_with_a_progress_bar_and_on_other_processes_there_are_no_lines(
    trainer: Any, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    vars(trainer).update(change)
    clock = Clock()
    progress = start_progress(trainer, clock)
    clock.now = 100
    progress.on_train_batch_end(trainer, None, {"loss": torch.tensor(0.25)}, None, 0)
    assert capsys.readouterr().out == ""
