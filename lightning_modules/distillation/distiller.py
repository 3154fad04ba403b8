"""Distil knowledge with Lightning: a small classifier learns from a teacher's logits and from the labels."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from lightning_modules.distillation.teacher_logits import cached_logits
from lightning_modules.errors import UserError
from lightning_modules.export.checkpoints import load_checkpoint, student_backbone
from lightning_modules.models.classifier import Classifier


class Distiller(Classifier):
    """Fine-tune a student with the loss `alpha * hard + (1 - alpha) * T^2 * KL(teacher || student)`.

    `hard` is the classifier's cross-entropy with the labels. In the second term both distributions are softened by the
    temperature T, and the divergence is averaged over the rows. T^2 keeps its gradients as large as those of the
    labels, whatever T is: Hinton et al. 2015, "Distilling the knowledge in a neural network", section 2. Some authors
    let alpha weigh the teacher; here it weighs the labels. The complexity head learns from its labels alone.

    Args:
        teacher: a run with an export (`runs/intent`), or a local folder or hub name of a checkpoint with a head for
            sequence classification. It must have the same label names; its tokenizer may differ.
        backbone: of the student, as for a classifier; null: the fine-tuned encoder of the teacher.
        student_layers: how many of the backbone's layers to keep, evenly spread from the first; null: all.
        alpha: weight of the labels; 1: the teacher is not used.
        temperature: T, above 0.
    """

    def __init__(
        self,
        teacher: str,
        backbone: str | None = None,
        student_layers: int | None = None,
        alpha: float = 0.5,
        temperature: float = 5.0,
        **kwargs: Any,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise UserError(f"model.alpha is {alpha}: give the weight of the labels, from 0 to 1")
        if temperature <= 0:
            raise UserError(f"model.temperature is {temperature}: give one above 0")
        super().__init__(backbone=student_backbone(teacher, backbone), layers=student_layers, **kwargs)
        self.teacher = teacher
        self.alpha = alpha
        self.temperature = temperature
        self.teacher_logits: NDArray[np.float16] | None = None

    def setup(self, stage: str) -> None:
        """Compute the teacher's logits of every training row, or read those of an earlier run."""
        super().setup(stage)
        if self.alpha < 1:
            data = self.trainer.datamodule  # type: ignore[attr-defined]  # set by the trainer
            self.teacher_logits = cached_logits(self.trainer, load_checkpoint(self.teacher, "teacher"), data)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        if self.teacher_logits is not None:
            logits = torch.from_numpy(self.teacher_logits[batch["row"].cpu().numpy()])
            batch = {**batch, "teacher_logits": logits.to(self.device)}
        return super().training_step(batch, batch_idx)

    def label_loss(self, outputs: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        hard = super().label_loss(outputs, batch)
        if not self.training or self.alpha == 1:
            return hard
        soft = soft_loss(outputs["logits"], batch["teacher_logits"], self.temperature)
        return self.alpha * hard + (1 - self.alpha) * soft


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 * KL(teacher || student) of logits [rows, labels] softened by T, averaged over the rows, in fp32."""
    predictions = log_softmax(student.float() / temperature, dim=1)
    targets = log_softmax(teacher.float() / temperature, dim=1)
    return kl_div(predictions, targets, reduction="batchmean", log_target=True) * temperature**2
