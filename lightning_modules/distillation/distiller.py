"""Knowledge distillation as a Lightning module: a small classifier learns a teacher's answers beside the labels."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cosine_similarity, kl_div, log_softmax

from lightning_modules.distillation.teacher import Teacher, encoder_of, load_teacher
from lightning_modules.distillation.teacher_logits import cached_logits, same_tokenizer
from lightning_modules.errors import UserError
from lightning_modules.models.classifier import Classifier
from lightning_modules.models.network import Network


class Distiller(Classifier):
    """Fine-tunes a student with the loss `alpha * hard + (1 - alpha) * T^2 * KL(teacher || student)`.

    `hard` is the classifier's cross-entropy with the labels. In the second part both distributions are softened by the
    temperature T; it is the mean over the rows. T^2 keeps its gradients as large as those of the labels, whatever T is:
    Hinton et al. 2015, "Distilling the knowledge in a neural network", section 2. There and elsewhere, alpha sometimes
    weighs the teacher; here it weighs the labels. The complexity head learns from its labels alone.

    Args:
        teacher: a run with an export (`runs/intent`), or a local folder or hub name of a checkpoint with a head for
            sequence classification. It must know the same labels, by name; its tokenizer may be another.
        backbone: of the student, as a classifier's; null: the teacher's encoder, as fine-tuned.
        student_layers: how many of the backbone's layers to keep, evenly spread from the first; null: all.
        alpha: weight of the labels; 1: the teacher is not asked.
        temperature: T, above 0.
        hidden_weight: of 1 - cosine of the teacher's and the student's last hidden states, the mean over all tokens
            (Sanh et al. 2019, "DistilBERT", section 2); needs the same tokenizer and the same width, and runs the
            teacher at every step.
    """

    def __init__(
        self,
        teacher: str,
        backbone: str | None = None,
        student_layers: int | None = None,
        alpha: float = 0.5,
        temperature: float = 5.0,
        hidden_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise UserError(f"model.alpha is {alpha}: give the weight of the labels, from 0 to 1")
        if temperature <= 0 or hidden_weight < 0:
            raise UserError(
                f"model.temperature is {temperature} and model.hidden_weight {hidden_weight}: "
                "give one above 0, and one from 0"
            )
        super().__init__(backbone=student_backbone(teacher, backbone), layers=student_layers, **kwargs)
        self.teacher = teacher
        self.alpha = alpha
        self.temperature = temperature
        self.hidden_weight = hidden_weight
        self.teacher_logits: NDArray[np.float16] | None = None
        # A list hides the teacher from Lightning: it is no part of the student's weights and checkpoints.
        self._teacher_networks: list[Network] = []

    def setup(self, stage: str) -> None:
        """Asks the teacher about every training row, where its answers are not kept from an earlier run."""
        super().setup(stage)
        if self.alpha == 1 and not self.hidden_weight:
            return
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # set by the trainer
        teacher = load_teacher(self.teacher)
        if self.alpha < 1:
            self.teacher_logits = cached_logits(self.trainer, teacher, data)
        if self.hidden_weight:
            self._teacher_networks = [self._comparable(teacher, data.tokenizer_json).to(self._root_device)]

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        if self.teacher_logits is not None:
            answers = torch.from_numpy(self.teacher_logits[batch["row"].cpu().numpy()])
            batch = {**batch, "teacher_logits": answers.to(self.device)}
        return super().training_step(batch, batch_idx)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """As the classifier's, with the encoder's last hidden states as `hidden`."""
        hidden = self.network.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return {**self.network.answer(hidden, attention_mask), "hidden": hidden}

    def label_loss(self, outputs: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        loss = super().label_loss(outputs, batch)
        if not self.training:
            return loss
        if self.alpha < 1:
            soft = soft_loss(outputs["logits"], batch["teacher_logits"], self.temperature)
            loss = self.alpha * loss + (1 - self.alpha) * soft
        for network in self._teacher_networks:
            loss = loss + self.hidden_weight * hidden_loss(network, outputs["hidden"], batch)
        return loss

    def _comparable(self, teacher: Teacher, tokenizer_json: str) -> Network:
        """The teacher's network, if its hidden states stand for the same tokens in as many dimensions."""
        widths = [network.encoder.config.hidden_size for network in (teacher.network, self.network)]
        if widths[0] != widths[1]:
            raise UserError(
                f"model.hidden_weight needs hidden states of one width, but the teacher's is {widths[0]} and the "
                f"student's {widths[1]}: set it to 0, or take the student's layers from the teacher"
            )
        if not same_tokenizer(teacher.tokenizer_json, tokenizer_json):
            raise UserError("model.hidden_weight needs one tokenizer, but the teacher's is another: set it to 0")
        return teacher.network

    @property
    def _root_device(self) -> torch.device:
        return self.trainer.strategy.root_device


def student_backbone(teacher: str, backbone: str | None) -> str:
    """The student's backbone: its own where it has one, otherwise its teacher's encoder."""
    return encoder_of(teacher) if backbone is None else backbone


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(teacher || student) of logits [rows, labels] softened by T, the mean over the rows, in fp32."""
    answers = log_softmax(student.float() / temperature, dim=1)
    targets = log_softmax(teacher.float() / temperature, dim=1)
    return kl_div(answers, targets, reduction="batchmean", log_target=True) * temperature**2


def hidden_loss(teacher: Network, hidden: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """1 - cosine of the teacher's and the student's last hidden states [rows, tokens, dim], the mean over tokens."""
    with torch.no_grad():
        wanted = teacher.encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    kept = batch["attention_mask"].bool()
    return 1 - cosine_similarity(hidden[kept].float(), wanted[kept].float(), dim=1).mean()
