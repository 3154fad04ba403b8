"""End a training before it is finished, as if it had been killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Stop(Exception):
    pass


@contextmanager
def stopped_before(epoch: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End a training at the start of this epoch, counted from 0; the training has to reach it."""

    def stop(self: Any, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == epoch:
            raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr("lightning_modules.callbacks.history.History.on_train_epoch_start", stop, raising=False)
        yield
