"""Test the losses of distillation and the layers of the student with a tiny untrained teacher."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from lightning_modules.distillation.distiller import Distiller, soft_loss
from lightning_modules.errors import UserError
from lightning_modules.export import files
from lightning_modules.export.checkpoints import load_classifier, parameters, student_backbone
from lightning_modules.labels import IGNORED
from lightning_modules.models.backbones import encoder_layers, load_encoder
from tests.support.tiny_export import tiny_tokenizer
from tests.support.tiny_teacher import tiny_network, write_tiny_teacher

NAMES: dict[str, tuple[Any, ...]] = {
    "labels": ("a", "b", "c"),
    "complexity_labels": ("low", "high"),
    "class_counts": (1, 1, 1),
}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a teacher of three labels and six layers."""
    folder = tmp_path_factory.mktemp("teacher")
    return write_tiny_teacher(folder, NAMES["labels"], tiny_network(), tiny_tokenizer().to_str())


@pytest.fixture
def student(teacher: Path) -> Any:
    def build(**settings: Any) -> Distiller:
        return Distiller(str(teacher), **{**NAMES, **settings})

    return build


def batch() -> dict[str, torch.Tensor]:
    ids = torch.tensor([[2, 5, 9, 3], [2, 6, 3, 0], [2, 7, 8, 3]])
    return {
        "input_ids": ids,
        "attention_mask": (ids > 0).long(),
        "labels": torch.tensor([0, 1, 2]),
        "complexity": torch.tensor([1, IGNORED, 0]),
        "row": torch.arange(3),
        "teacher_logits": torch.tensor([[2.0, 0.0, -1.0], [0.5, 3.0, 0.0], [0.0, -2.0, 1.0]], dtype=torch.float16),
    }


def test_the_soft_loss_of_two_labels_by_hand() -> None:
    """Expect 4 * (3/4 ln(3/2) + 1/4 ln(1/2)) for a teacher of 3 : 1 at T = 2 and a student of 1 : 1."""
    teacher = torch.tensor([[2 * torch.tensor(3.0).log(), 0.0]])
    loss = soft_loss(torch.zeros(1, 2), teacher, temperature=2.0)
    assert loss.item() == pytest.approx(4 * (0.75 * 0.4054651 - 0.25 * 0.6931472), rel=1e-5)


def test_the_soft_gradient_keeps_its_size_at_any_temperature() -> None:
    """Check the factor T^2: at high T the gradient nears (student - teacher) / labels for logits of mean 0."""
    teacher = torch.tensor([[1.0, -1.0]])
    for temperature in (20.0, 200.0):
        student = torch.zeros(1, 2, requires_grad=True)
        soft_loss(student, teacher, temperature).backward()
        torch.testing.assert_close(student.grad, torch.tensor([[-0.5, 0.5]]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_weighs_labels_and_teacher_and_leaves_the_complexity_to_its_labels(student: Any, alpha: float) -> None:
    model = student(alpha=alpha, temperature=3.0, complexity_weight=0.5, dropout=0.0, encoder_dropout=0.0).train()
    inputs = batch()
    outputs = model(inputs["input_ids"], inputs["attention_mask"])
    logits, teacher = outputs["logits"], inputs["teacher_logits"].float()
    soft = kl_div((logits / 3).log_softmax(1), (teacher / 3).softmax(1), reduction="batchmean") * 9
    expected = alpha * cross_entropy(logits, inputs["labels"]) + (1 - alpha) * soft
    expected = expected + 0.5 * cross_entropy(outputs["complexity_logits"], inputs["complexity"])
    torch.testing.assert_close(model.model_step(inputs)[0], expected)


def test_validation_has_the_hard_loss_alone(student: Any) -> None:
    model = student(alpha=0.3, complexity_weight=0.0).eval()
    inputs = batch()
    del inputs["teacher_logits"]
    loss, logits = model.model_step(inputs)
    torch.testing.assert_close(loss, cross_entropy(logits, inputs["labels"]))


def test_the_exported_classifier_is_the_one_that_was_written(teacher: Path) -> None:
    written, read = tiny_network(), load_classifier(teacher)
    ids, mask = batch()["input_ids"], batch()["attention_mask"]
    with torch.inference_mode():
        torch.testing.assert_close(read(ids, mask), written(ids, mask))
    assert parameters(teacher) == sum(parameter.numel() for parameter in written.parameters())


@pytest.mark.parametrize(
    ("count", "layers"), [(3, [0, 2, 4]), (2, [0, 3]), (4, [0, 1, 3, 4]), (1, [0]), (6, [*range(6)])]
)
def test_a_students_layers_are_exact_copies_of_alternating_ones_of_the_teacher(
    student: Any, teacher: Path, count: int, layers: list[int]
) -> None:
    encoder, original = student(student_layers=count).network.encoder, load_encoder(str(teacher / "hf"))
    assert encoder.config.num_hidden_layers == count
    assert len(encoder_layers(encoder)) == count
    pairs = [(encoder.embeddings, original.embeddings)]
    pairs += [(layer, encoder_layers(original)[i]) for layer, i in zip(encoder_layers(encoder), layers, strict=True)]
    for copy, of in pairs:
        state = of.state_dict()
        assert copy.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[name]) for name, value in copy.state_dict().items())


def test_a_student_of_fewer_layers_is_loaded_as_it_was_saved(student: Any, tmp_path: Path) -> None:
    network = student(student_layers=3).network.eval()
    files.write_hf(network, tiny_tokenizer().to_str(), tmp_path, max_length=64)
    ids, mask = batch()["input_ids"], batch()["attention_mask"]
    with torch.inference_mode():
        expected = network.encoder(ids, mask).last_hidden_state
        torch.testing.assert_close(load_encoder(str(tmp_path))(ids, mask).last_hidden_state, expected)


def test_a_configured_backbone_is_used_instead_of_the_teachers(
    student: Any, teacher: Path, tiny_backbone: Path
) -> None:
    assert len(encoder_layers(student(backbone=str(tiny_backbone)).network.encoder)) == 2
    assert student_backbone(str(teacher), None) == str(teacher / "hf")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"student_layers": 7}, "7 layers are to be kept of a backbone that has 6: give 1 to 6"),
        ({"student_layers": 0}, "give 1 to 6"),
        ({"alpha": 1.5}, "model.alpha is 1.5"),
        ({"temperature": 0.0}, "model.temperature is 0.0"),
    ],
)
def test_a_wrong_setting_is_reported(student: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        student(**settings)
