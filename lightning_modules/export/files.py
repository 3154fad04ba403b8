"""Write a trained model as files that can be served without Lightning and without this training code.

The folder `runs/<name>/export/` is the contract between training and serving: model.onnx, model_int8.onnx,
model_fp16.pt2, tokenizer.json, golden.json, metadata.json, hf/ for `from_pretrained`, and the task's own files
(labels.json).
"""

import copy
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from handlers.integrity import sha256
from handlers.pipelines.base import FP32_FILE, GPU_FILE, MODEL_FILE, Pipeline
from lightning_modules.models.network import Network, SpanExtractor
from lightning_modules.sampling import evenly
from lightning_modules.tasks.task import GOLDEN_REQUESTS
from lightning_modules.text_files import write_json

FP32, INT8 = FP32_FILE, MODEL_FILE
FILES = {"fp32": FP32, "int8": INT8}  # file of each form that a CPU serves
LIBRARIES = ("torch", "lightning", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy")
# Special tokens by their names in transformers, as BERT-like and RoBERTa-like vocabularies spell them.
SPECIAL_TOKENS = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


class _Outputs(nn.Module):
    """A wrapper that returns the network's outputs as a tuple, as an ONNX graph does."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(input_ids, attention_mask).values())


def write_model(folder: Path, network: Network, tokenizer_json: str, *, max_length: int, opset: int) -> None:
    """Write the weights as fp32 ONNX, fp16 and for transformers, and the tokenizer without padding and truncation."""
    network = network.eval().float().cpu()
    write_onnx(network, folder / FP32, opset)
    write_fp16(network, folder / GPU_FILE)
    (folder / "tokenizer.json").write_text(plain_tokenizer(tokenizer_json).to_str(), encoding="utf-8")
    write_hf(network, tokenizer_json, folder / "hf", max_length=max_length)


def write_onnx(network: Network, path: Path, opset: int) -> None:
    """Write fp32 ONNX with free numbers of rows and tokens; its outputs have the network's names."""
    attention = network.encoder.config._attn_implementation
    network.encoder.set_attn_implementation("eager")
    # Two separate tensors, because one tensor passed twice would become a single input.
    ids, mask = torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    rows, tokens = torch.export.Dim("rows", min=1), torch.export.Dim("tokens", min=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            _Outputs(network),
            (ids, mask),
            input_names=["input_ids", "attention_mask"],
            output_names=list(network(ids, mask)),
            dynamic_shapes=({0: rows, 1: tokens}, {0: rows, 1: tokens}),
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    network.encoder.set_attn_implementation(attention)
    assert program is not None
    program.save(path, external_data=False)


def write_fp16(network: Network, path: Path) -> None:
    """Write a torch.export program in half precision, with free numbers of rows and tokens, that returns a dict."""
    half = _halved(network)
    if half.encoder._supports_sdpa:  # a GPU has fused kernels for it
        half.encoder.set_attn_implementation("sdpa")
    # Two rows, because the exporter would fix the number of rows at 1 if it saw a single one.
    ids, mask = torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    # The exporter derives the limit of tokens from the backbone's positions.
    free = {0: torch.export.Dim("rows", min=1), 1: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        program = torch.export.export(half, (ids, mask), dynamic_shapes=(free, free))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it would contain paths of this machine
    torch.export.save(program, path)


def _halved(network: Network) -> Network:
    """Return a copy with fp16 weights. Computed buffers stay fp32: rounded frequencies would distort positions."""
    half = copy.deepcopy(network).half()
    weights = network.state_dict()
    for name, values in network.named_buffers():
        if name not in weights:
            module, _, buffer = name.rpartition(".")
            setattr(half.get_submodule(module), buffer, values)
    return half


def write_hf(network: Network, tokenizer_json: str, folder: Path, *, max_length: int) -> None:
    """Write weights and tokenizer for transformers' `from_pretrained`; the tokenizer truncates to `max_length` tokens.

    A model for questions loads as `AutoModelForQuestionAnswering`. A classifier's encoder loads as `AutoModel`; its
    pooling and heads, for which transformers has no class, are in `heads.safetensors`.
    """
    if isinstance(network, SpanExtractor):
        network.as_transformers().save_pretrained(folder)
    else:
        network.encoder.save_pretrained(folder)
        heads = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("encoder.")}
        save_file(heads, folder / "heads.safetensors")
    tokenizer = plain_tokenizer(tokenizer_json)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        # Without this, transformers would send token types, which a DistilBERT refuses.
        model_input_names=["input_ids", "attention_mask"],
        **special_tokens(tokenizer),
    )
    fast.save_pretrained(folder)


def plain_tokenizer(tokenizer_json: str) -> Tokenizer:
    """Return the tokenizer without its stored padding and truncation: some backbones are published with 128 tokens."""
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Return those `SPECIAL_TOKENS` that are in the vocabulary, by their names in transformers."""
    tokens = {
        role: next((name for name in names if tokenizer.token_to_id(name) is not None), None)
        for role, names in SPECIAL_TOKENS.items()
    }
    return {role: name for role, name in tokens.items() if name is not None}


def write_golden(folder: Path, pipeline_class: type[Pipeline], requests: Sequence[Mapping[str, Any]]) -> None:
    """Write `golden.json`: some of the requests, each with INT8's (`response`) and fp32's answers, unbatched."""
    pipelines = {
        "response": pipeline_class.load(folder, model_file=INT8),
        "fp32": pipeline_class.load(folder, model_file=FP32),
    }
    chosen = [dict(requests[i]) for i in evenly(len(requests), GOLDEN_REQUESTS)]
    golden = [
        {"request": request, **{form: pipeline.predict([request])[0] for form, pipeline in pipelines.items()}}
        for request in chosen
    ]
    write_json(folder / "golden.json", golden)


def model_metadata(
    *, name: str, version: str, task: str, backbone: str, task_metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `metadata.json`, except for the metrics and the files."""
    return {
        "name": name,
        "version": version,
        "task": task,
        "backbone": backbone,
        **task_metadata,
        "libraries": {library: metadata.version(library) for library in LIBRARIES},
        "git_commit": git_commit(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def write_metadata(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `metadata.json`: the content, and the size and sha256 of every file beside it."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "metadata.json")
    sizes = {path.name: path.stat().st_size for path in files}
    write_json(
        folder / "metadata.json", {**content, "sizes": sizes, "files": {path.name: sha256(path) for path in files}}
    )


def weights_mb(folder: Path) -> float:
    """Return the size of the torch weights, encoder and heads, in MB."""
    return round(sum(path.stat().st_size for path in (folder / "hf").glob("*.safetensors")) / 1e6, 2)


def git_commit() -> str | None:
    """Return the commit of this code, or None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
