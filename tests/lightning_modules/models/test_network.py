"""Backbones, pooling, heads and freezing."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModel, BertConfig, BertModel

from handlers.text.tokenization import TextTokenizer
from lightning_modules.errors import UserError
from lightning_modules.labels import IGNORED
from lightning_modules.models.backbones import encoder_layers, load_encoder
from lightning_modules.models.classifier import Classifier
from lightning_modules.models.network import Pool, Pooling
from lightning_modules.pretrained import embedded_folder, load_tokenizer_json


def test_the_embedded_encoder_gives_the_original_hidden_states() -> None:
    texts = ["translate this into French", "a much longer sentence with several words in it"]
    tokenizer = TextTokenizer(load_tokenizer_json("embedded"), 32)
    original = AutoModel.from_pretrained(embedded_folder()).eval()
    converted = load_encoder("embedded")
    for row in tokenizer.tokenize(texts):
        ids = torch.tensor([row.ids])
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            expected = original(ids, attention_mask=mask).last_hidden_state
            torch.testing.assert_close(
                converted(ids, attention_mask=mask).last_hidden_state, expected, atol=2e-5, rtol=0
            )


def test_changed_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr("lightning_modules.pretrained.files", lambda package: tmp_path)
    with pytest.raises(UserError, match="has sha256"):
        load_encoder("embedded")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/model"])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_encoder(name)


def test_a_hub_name_without_network_names_the_embedded_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"--model\.backbone=embedded") as caught:
        load_encoder("no-such-owner/no-such-model")
    assert "\n" not in str(caught.value)


def test_pooling_looks_at_no_padding() -> None:
    hidden = torch.tensor([[[1.0, 5.0], [3.0, -7.0], [99.0, 99.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert Pool("cls", 2)(hidden, mask).tolist() == [[1, 5]]
    assert Pool("mean", 2)(hidden, mask).tolist() == [[2, -1]]
    assert Pool("max", 2)(hidden, mask).tolist() == [[3, 5]]
    attention = Pool("attention", 2)
    longer = torch.cat([hidden, hidden], dim=1), torch.tensor([[1, 1, 0, 0, 0, 0]])
    torch.testing.assert_close(attention(hidden, mask), attention(*longer))


@pytest.mark.parametrize("kind", ["cls", "mean", "max", "attention"])
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_pooling_works_in_mixed_precision(kind: Pooling, precision: torch.dtype) -> None:
    hidden, mask = torch.ones(2, 3, 4), torch.tensor([[1, 1, 0], [1, 1, 1]])
    with torch.autocast("cpu", precision):
        assert torch.isfinite(Pool(kind, 4)(hidden, mask)).all()


def test_every_trained_weight_gets_a_gradient_even_where_no_row_has_a_complexity(tmp_path: Path) -> None:
    """Several devices wait for the gradients of all of them."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=50, **sizes)).save_pretrained(tmp_path)
    model = Classifier(
        backbone=str(tmp_path), labels=("a", "b"), complexity_labels=("low", "high"), class_counts=(1, 1)
    )
    ids = torch.ones(2, 4, dtype=torch.int64)
    none = torch.full((2,), IGNORED)
    batch = {"input_ids": ids, "attention_mask": ids, "labels": torch.tensor([0, 1]), "complexity": none}
    loss, _ = model.model_step(batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert [name for name, p in model.network.named_parameters() if p.requires_grad and p.grad is None] == []


def test_the_complexity_loss_is_the_mean_of_the_rows_that_have_one(tiny_backbone: Path) -> None:
    names = {"labels": ("a", "b"), "complexity_labels": ("low", "high")}
    model = Classifier(backbone=str(tiny_backbone), class_counts=(1, 1), complexity_weight=1.0, **names).eval()
    ids = torch.tensor([[2, 5, 3], [2, 6, 3], [2, 7, 3]])
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([0, 1, 0])}
    levels = torch.tensor([1, IGNORED, 0])
    with torch.inference_mode():
        outputs = model(ids, batch["attention_mask"])
        expected = cross_entropy(outputs["logits"], batch["labels"]) + cross_entropy(
            outputs["complexity_logits"], levels
        )
        torch.testing.assert_close(model.model_step(batch | {"complexity": levels})[0], expected)


def test_freezing_stops_the_gradients_of_the_embeddings_and_the_first_layers(tiny_backbone: Path) -> None:
    model = Classifier(backbone=str(tiny_backbone), labels=("a", "b"), class_counts=(1, 1), freeze_layers=1)
    layers = encoder_layers(model.network.encoder)
    trained = [any(p.requires_grad for p in part.parameters()) for part in (model.network.encoder.embeddings, *layers)]
    assert trained == [False, False, True]


def test_too_many_frozen_layers_are_refused(tiny_backbone: Path) -> None:
    with pytest.raises(UserError, match=r"freeze_layers is 3, but the backbone has 2 layers"):
        Classifier(backbone=str(tiny_backbone), labels=("a", "b"), class_counts=(1, 1), freeze_layers=3)


def test_balanced_class_weights_are_inverse_to_the_counts(tiny_backbone: Path) -> None:
    model = Classifier(backbone=str(tiny_backbone), labels=("a", "b"), class_counts=(30, 10), class_weights="balanced")
    assert model.label_weights is not None
    assert model.label_weights.tolist() == pytest.approx([2 / 3, 2])


def test_dropout_is_on_in_training(tiny_backbone: Path) -> None:
    model = Classifier(backbone=str(tiny_backbone), labels=("a", "b"), class_counts=(1, 1))
    assert all(module.training for module in model.network.modules())


def test_own_and_shared_settings_are_hyperparameters_set_or_not(tiny_backbone: Path) -> None:
    model = Classifier(backbone=str(tiny_backbone), labels=("a", "b"), class_counts=(1, 1), weight_decay=0.2)
    assert dict(model.hparams) == {
        "backbone": str(tiny_backbone),
        "labels": ("a", "b"),
        "complexity_labels": (),
        "class_counts": (1, 1),
        "pooling": "mean",
        "layer_norm": False,
        "dropout": 0.1,
        "encoder_dropout": None,
        "layers": None,
        "freeze_layers": 0,
        "gradient_checkpointing": False,
        "complexity_weight": 0.3,
        "label_smoothing": 0.0,
        "class_weights": "none",
        "learning_rate": 5e-5,
        "head_learning_rate": None,
        "weight_decay": 0.2,
        "warmup": 0.1,
    }
