"""Export the GPU's program in half precision, for the embedded backbone's architecture and for those of the hub."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.export.passes import move_to_device_pass
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
)

from lightning_modules.data.batching import pad
from lightning_modules.export import files
from lightning_modules.models.network import Network, Pooling, SpanExtractor, TextClassifier
from tests.support.tiny_export import tiny_encoder

POSITIONS = 64
SMALL = {
    "vocab_size": 100,
    "max_position_embeddings": POSITIONS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def encoder(kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    if kind == "deberta":
        return DebertaV2Model(DebertaV2Config(**SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"]))
    if kind == "modernbert":
        return ModernBertModel(ModernBertConfig(**SMALL, pad_token_id=0))
    return BertModel(BertConfig(**SMALL)) if kind == "bert" else tiny_encoder(100)


def exported(network: Network, path: Path) -> torch.export.ExportedProgram:
    files.write_fp16(network.eval(), path)
    return torch.export.load(path)


@pytest.mark.parametrize("kind", ["distilbert", "bert", "deberta", "modernbert"])
@pytest.mark.parametrize("task", ["classes", "spans"])
def test_it_gives_torchs_logits_whatever_the_rows_and_lengths(kind: str, task: str, tmp_path: Path) -> None:
    network = (SpanExtractor(encoder(kind)) if task == "spans" else TextClassifier(encoder(kind), 4, 3)).eval()
    program = exported(network, tmp_path / "model.pt2")
    module = program.module()
    for lengths in ([2], [5], [POSITIONS], [5, 3, 16], [POSITIONS, 2, 2, 2, 30]):
        ids, mask = pad([list(range(2, 2 + length)) for length in lengths])
        with torch.inference_mode():
            outputs, expected = module(ids, mask), network(ids, mask)
        assert list(outputs) == list(expected)
        for name, values in expected.items():
            real = mask.bool() if task == "spans" else torch.ones(len(lengths), dtype=torch.bool)
            assert outputs[name].dtype == torch.float16
            assert torch.isfinite(outputs[name]).all()
            torch.testing.assert_close(outputs[name][real].float(), values[real], atol=5e-3, rtol=0)
    assert {values.dtype for values in network.parameters()} == {torch.float32}, "the network itself stays"


@pytest.mark.parametrize("pooling", ["cls", "max", "attention"])
def test_other_poolings_hold_no_infinity_in_half_precision(pooling: Pooling, tmp_path: Path) -> None:
    network = TextClassifier(encoder("distilbert"), 4, 0, pooling, layer_norm=True).eval()
    ids, mask = pad([[2, 5, 3], list(range(2, 42))])
    outputs = exported(network, tmp_path / "model.pt2").module()(ids, mask)["logits"]
    torch.testing.assert_close(outputs.float(), network(ids, mask)["logits"], atol=5e-3, rtol=0)


@pytest.mark.parametrize("kind", ["distilbert", "bert", "deberta", "modernbert"])
def test_it_moves_to_another_device_as_a_whole(kind: str, tmp_path: Path) -> None:
    """Whatever stayed on the CPU could not be computed with what is on a device of another kind."""
    program = exported(TextClassifier(encoder(kind), 4), tmp_path / "model.pt2")
    module = move_to_device_pass(program, "meta").module()
    ids = torch.ones(3, 7, dtype=torch.int64, device="meta")
    assert module(ids, torch.ones_like(ids))["logits"].device.type == "meta"


def test_what_a_backbone_computes_itself_is_not_rounded(tmp_path: Path) -> None:
    network = TextClassifier(encoder("modernbert"), 4)
    program = exported(network, tmp_path / "model.pt2")
    computed = {name: values for name, values in network.named_buffers() if name not in network.state_dict()}
    buffers = {name: values for name, values in program.named_buffers() if name in computed}
    assert any(name.endswith("inv_freq") for name in buffers)
    for name, values in buffers.items():
        torch.testing.assert_close(values, computed[name], atol=0, rtol=0)


def test_the_file_names_no_folder_of_the_machine(tiny_export: Path) -> None:
    content = (tiny_export / "model_fp16.pt2").read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content
    assert b"site-packages" not in content
