"""Test that the plain handlers answer with the exported weights, and are left out where they are not comparable."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from archives.build import build_archive
from lightning_modules.export import files
from lightning_modules.models.network import Network, Pooling, SpanExtractor, TextClassifier
from loadtest.bench.archive import unpack
from loadtest.bench.plain_archive import answers_of, obstacle, pack_plain
from loadtest.samples import Sample, read_golden
from tests.support.tiny_export import LABELS, SENTENCES, tiny_encoder, tiny_tokenizer

LENGTH = 64


def weights(folder: Path, network: Network, task: str, **more: Any) -> Path:
    """Write the files that an archive of the plain server has beside its handler."""
    files.write_hf(network, tiny_tokenizer().to_str(), folder, max_length=LENGTH)
    (folder / "metadata.json").write_text(json.dumps({"task": task, **more}))
    (folder / "labels.json").write_text(json.dumps({"labels": LABELS}))
    return folder


def encoder() -> Any:
    return tiny_encoder(tiny_tokenizer().get_vocab_size())


def bare_tokenizer() -> Tokenizer:
    tokenizer = tiny_tokenizer()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def run(network: Network, *texts: str) -> dict[str, torch.Tensor]:
    """Return the network's logits without any padding."""
    ids = torch.tensor([bare_tokenizer().encode(*texts).ids])
    with torch.inference_mode():
        return network.eval()(ids, torch.ones_like(ids))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "attention"])
def test_padded_texts_get_the_scores_of_the_network(pooling: Pooling, layer_norm: bool, tmp_path: Path) -> None:
    network = TextClassifier(encoder(), len(LABELS), 0, pooling, layer_norm)
    torch.nn.init.normal_(network.head.weight, std=1.5)
    folder = weights(tmp_path / "plain", network, "text-classification", pooling=pooling)
    for sentence, answer in zip(SENTENCES, answers_of(folder, [{"text": one} for one in SENTENCES]), strict=True):
        probabilities = run(network, sentence)["logits"][0].softmax(dim=0)
        assert answer["label"] == LABELS[int(probabilities.argmax())]
        assert answer["score"] == pytest.approx(float(probabilities.max()), abs=1e-4)


def test_padded_contexts_get_the_spans_of_the_network(tmp_path: Path) -> None:
    network = SpanExtractor(encoder())
    torch.nn.init.normal_(network.head.weight, std=0.5)
    folder = weights(tmp_path / "plain", network, "question-answering", max_length=LENGTH)
    requests = [{"question": SENTENCES[3], "context": sentence} for sentence in SENTENCES]
    for request, answer in zip(requests, answers_of(folder, requests), strict=True):
        context = request["context"]
        assert answer["answer"] == context[answer["start"] : answer["end"]]
        logits = run(network, *request.values())
        encoding = bare_tokenizer().encode(*request.values())
        inside = [i for i, part in enumerate(encoding.sequence_ids) if part == 1]
        start, end = (logits[name][0][inside].softmax(dim=0) for name in ("start_logits", "end_logits"))
        scores = {
            (i, j): float(start[i] * end[j]) for i in range(len(inside)) for j in range(i, min(i + 30, len(inside)))
        }
        first, last = max(scores, key=scores.__getitem__)
        assert answer["start"] == encoding.offsets[inside[first]][0]
        assert answer["end"] == encoding.offsets[inside[last]][1]
        assert answer["score"] == pytest.approx(scores[first, last], abs=1e-4)


def test_a_context_that_is_too_long_is_cut(tmp_path: Path) -> None:
    folder = weights(tmp_path / "plain", SpanExtractor(encoder()), "question-answering", max_length=24)
    (answer,) = answers_of(folder, [{"question": SENTENCES[0], "context": " ".join(SENTENCES)}])
    assert answer["end"] <= len(" ".join(SENTENCES[:3]))


def test_an_archive_has_all_files_that_its_handler_reads(tiny_runs: Path, tmp_path: Path) -> None:
    unpack(build_archive("tiny", tiny_runs, tmp_path / "store"), tmp_path / "model")
    archive = tmp_path / "packed" / "tiny.mar"
    pack_plain(tmp_path / "model", tiny_runs / "tiny" / "export", tmp_path / "plain", archive)
    unpack(archive, tmp_path / "unpacked")
    golden = read_golden(archive)
    assert golden
    assert answers_of(tmp_path / "unpacked", [pair.request for pair in golden]) == [pair.expected for pair in golden]
    with zipfile.ZipFile(archive) as mar:
        manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]
        assert {manifest["handler"], manifest["configFile"]} <= set(mar.namelist())
        assert not any(member.startswith("handlers/") for member in mar.namelist())


def test_the_reasons_against_a_comparison_are_reported(tiny_runs: Path, tmp_path: Path) -> None:
    export_of = shutil.copytree(tiny_runs / "tiny" / "export", tmp_path / "runs" / "tiny" / "export")
    unpack(build_archive("tiny", tmp_path / "runs", tmp_path / "store"), tmp_path / "model")
    model, one, several = tmp_path / "model", [Sample({"text": "a"}, None)], [Sample({"instances": []}, None)]
    assert obstacle(model, export_of, one) is None
    assert obstacle(model, export_of, several) == "it answers one question or text a request"
    metadata = json.loads((export_of / "metadata.json").read_text())
    (export_of / "metadata.json").write_text(json.dumps(metadata | {"created": "later"}))
    assert "built from other weights" in str(obstacle(model, export_of, one))
    (export_of / "metadata.json").unlink()
    assert "no weights" in str(obstacle(model, export_of, one))
    shutil.rmtree(export_of / "hf")
    assert obstacle(model, export_of, one) == f"no weights at {export_of / 'hf'}"
