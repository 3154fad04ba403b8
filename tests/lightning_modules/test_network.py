"""Backbones, pooling, heads and freezing."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from handlers.text.tokenization import TextEncoder
from lightning_modules.backbones import embedded_folder, encoder_layers, load_encoder, load_tokenizer_json
from lightning_modules.classifier import Classifier
from lightning_modules.errors import UserError
from lightning_modules.network import Pool


def test_the_embedded_encoder_gives_the_original_hidden_states() -> None:
    texts = ["translate this into French", "a much longer sentence with several words in it"]
    encoder = TextEncoder(load_tokenizer_json("embedded"), 32)
    original = AutoModel.from_pretrained(embedded_folder()).eval()
    converted = load_encoder("embedded")
    for row in encoder.encode(texts):
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
    monkeypatch.setattr("lightning_modules.backbones.files", lambda package: tmp_path)
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


def test_freezing_stops_the_gradients_of_the_embeddings_and_the_first_layers(tiny_backbone: Path) -> None:
    model = Classifier(str(tiny_backbone), labels=("a", "b"), class_counts=(1, 1), freeze_layers=1)
    layers = encoder_layers(model.network.encoder)
    trained = [any(p.requires_grad for p in part.parameters()) for part in (model.network.encoder.embeddings, *layers)]
    assert trained == [False, False, True]


def test_too_many_frozen_layers_are_refused(tiny_backbone: Path) -> None:
    with pytest.raises(UserError, match=r"freeze_layers is 3, but the backbone has 2 layers"):
        Classifier(str(tiny_backbone), labels=("a", "b"), class_counts=(1, 1), freeze_layers=3)


def test_balanced_class_weights_are_inverse_to_the_counts(tiny_backbone: Path) -> None:
    model = Classifier(str(tiny_backbone), labels=("a", "b"), class_counts=(30, 10), class_weights="balanced")
    assert model.label_weights is not None
    assert model.label_weights.tolist() == pytest.approx([2 / 3, 2])


def test_dropout_is_on_in_training(tiny_backbone: Path) -> None:
    model = Classifier(str(tiny_backbone), labels=("a", "b"), class_counts=(1, 1))
    assert all(module.training for module in model.network.modules())
