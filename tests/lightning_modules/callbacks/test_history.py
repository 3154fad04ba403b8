"""Test the training loss in a run's history: the mean over the steps since the last point."""

from types import SimpleNamespace
from typing import Any

import torch

from lightning_modules.callbacks.history import TRAINING_POINTS, History


def trained(history: History, losses: list[float], *, steps: int, accumulate: int = 1, begin: int = 0) -> History:
    """Pass batch losses to the callback as Lightning does: divided by the batches of a step."""
    trainer: Any = SimpleNamespace(
        estimated_stepping_batches=steps, accumulate_grad_batches=accumulate, current_epoch=0
    )
    history.on_train_start(trainer, None)  # type: ignore[arg-type]  # unused
    for i, loss in enumerate(losses, begin + 1):
        trainer.global_step = i // accumulate
        outputs = {"loss": torch.tensor(loss / accumulate)}
        history.on_train_batch_end(trainer, None, outputs, None, i)  # type: ignore[arg-type]  # unused
    return history


def test_a_long_run_keeps_means_of_as_many_steps() -> None:
    history = trained(History(), [2.0, 4.0] * 100, steps=2 * TRAINING_POINTS)
    assert history.records[:2] == [
        {"epoch": 0, "step": 2, "train_loss": 3.0},
        {"epoch": 0, "step": 4, "train_loss": 3.0},
    ]
    assert len(history.records) == 100


def test_accumulated_batches_count_as_one_step_with_their_mean() -> None:
    history = trained(History(), [1.0, 3.0, 5.0, 7.0], steps=2, accumulate=2)
    assert [(r["step"], r["train_loss"]) for r in history.records] == [(1, 2.0), (2, 6.0)]


def test_a_run_resumed_between_two_points_has_the_points_of_an_uninterrupted_one() -> None:
    losses, steps = [float(i) for i in range(12)], 3 * TRAINING_POINTS
    whole = trained(History(), losses, steps=steps)
    resumed = History()
    resumed.load_state_dict(trained(History(), losses[:4], steps=steps).state_dict())
    trained(resumed, losses[4:], steps=steps, begin=4)
    assert resumed.records == whole.records
    assert [r["train_loss"] for r in whole.records] == [1.0, 4.0, 7.0, 10.0]
