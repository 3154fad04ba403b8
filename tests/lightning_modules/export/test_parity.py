"""Compare torch, fp32 and INT8, and hold the limits of an export."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from handlers.model import Limits, OnnxModel
from handlers.pipelines.classification import ClassificationPipeline
from lightning_modules.data.classification import ClassificationData
from lightning_modules.export import files, int8
from lightning_modules.export.parity import compare_forms, max_difference, missed_fp32, onnx_outputs, torch_outputs
from lightning_modules.models.classifier import Classifier
from lightning_modules.models.network import Pooling, TextClassifier
from lightning_modules.settings import Export
from lightning_modules.tasks.classification import ClassificationTask, label_metrics, missed_label_limits
from lightning_modules.tasks.task import Row
from lightning_modules.text_files import write_json
from tests.support.tiny_export import tiny_encoder, tiny_tokenizer
from tests.support.tiny_qa_export import MAX_LENGTH

ROWS = [[2, *range(5, 5 + length), 3] for length in (1, 14, 3, 9, 2, 20, 7)]


def test_the_exported_tokenizers_have_no_stored_lengths_and_the_special_tokens(tiny_qa_export: Path) -> None:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    stored = json.loads((tiny_qa_export / "tokenizer.json").read_text())
    assert (stored["padding"], stored["truncation"]) == (None, None)
    tokenizer = AutoTokenizer.from_pretrained(tiny_qa_export / "hf")
    assert (tokenizer.pad_token, tokenizer.unk_token) == ("[PAD]", "[UNK]")
    assert (tokenizer.cls_token_id, tokenizer.sep_token_id) == (2, 3)
    asked, contexts = ["what is it", "who"], ["hello, how are you today? " * 40, "hello"]
    batch = tokenizer(asked, contexts, truncation=True, padding=True, return_tensors="pt")
    assert batch["input_ids"].shape == (2, MAX_LENGTH)
    logits = AutoModelForQuestionAnswering.from_pretrained(tiny_qa_export / "hf")(**batch).start_logits
    assert logits.shape == (2, MAX_LENGTH)
    assert len(tokenizer("what is it", contexts[0])["input_ids"]) > 200


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "attention"])
def test_fp32_onnx_gives_torchs_logits_whatever_the_pooling_and_the_lengths(tmp_path: Path, pooling: Pooling) -> None:
    torch.manual_seed(1)
    network = TextClassifier(tiny_encoder(300), 4, 3, pooling, layer_norm=True).eval()
    files.write_onnx(network, tmp_path / "model.onnx", 18)
    logits, _ = OnnxModel(tmp_path / "model.onnx", 1).run(ROWS, Limits(64, 4, 64))
    for name, expected in torch_outputs(network, ROWS, batch_size=3).items():
        np.testing.assert_allclose(logits[name], expected, atol=1e-5)


def test_int8_is_smaller_and_close(tiny_export: Path) -> None:
    sizes = [(tiny_export / file).stat().st_size for file in (files.FP32, files.INT8)]
    assert sizes[1] < sizes[0]
    pipelines = [ClassificationPipeline.load(tiny_export, model_file=file) for file in (files.FP32, files.INT8)]
    rows = [row.ids for row in pipelines[0].tokenizer.tokenize(["translate this", "write a python function"])]
    fp32, int8 = (np.stack(onnx_outputs(pipeline, rows)["logits"]) for pipeline in pipelines)
    assert 0 < np.abs(fp32 - int8).max() < 0.5


def test_the_exported_weights_load_into_the_same_network(tmp_path: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModel

    network = TextClassifier(tiny_encoder(300), 4, 0, "attention").eval()
    files.write_hf(network, tiny_tokenizer().to_str(), tmp_path, max_length=64)
    other = TextClassifier(AutoModel.from_pretrained(tmp_path), 4, 0, "attention").eval()
    other.load_state_dict(load_file(tmp_path / "heads.safetensors"), strict=False)
    for name, expected in torch_outputs(network, ROWS).items():
        np.testing.assert_allclose(torch_outputs(other, ROWS)[name], expected, atol=1e-6)


def test_forms_are_compared_on_rows_of_a_whole_sorted_file(tmp_path: Path, tiny_backbone: Path) -> None:
    path, folder = tmp_path / "sorted.csv", tmp_path / "export"
    folder.mkdir()
    path.write_text("text,label\n" + "hello,a\n" * 20 + "hello,b\n" * 20)
    data = ClassificationData(
        **dict.fromkeys(("train_file", "val_file", "test_file"), str(path)), backbone=str(tiny_backbone), max_length=16
    )
    task = ClassificationTask(Classifier(data.labels, (), data.class_counts, backbone=str(tiny_backbone)), data)
    task.network.eval()
    files.write_model(folder, task.network, task.tokenizer_json, max_length=16, opset=18)
    for file, content in task.files().items():
        write_json(folder / file, content)
    metadata = files.model_metadata(
        name="sorted", version="1.0", task=task.kind, backbone=data.backbone, task_metadata=task.metadata
    )
    files.write_metadata(folder, metadata)
    outputs = {"logits": [np.float32([label == "a", label == "b"]) for label in data.splits["test"].rows["label"]]}
    table, missed = compare_forms(folder, task, outputs, Export(check_rows=10))
    assert table["torch"]["rows"] == 10
    assert table["torch"]["accuracy"] == 1  # each row of the outputs met its own target
    assert table["fp32"]["agreement"] == table["fp32"]["accuracy"] == 0.5  # all texts are the same
    assert any("fp32 ONNX logits differ" in miss for miss in missed)


def quantised(accuracy: float = 0.95, agreement: float = 0.995, rows: int = 1000) -> Row:
    return {"rows": rows, "accuracy": accuracy, "agreement": agreement, "complexity_agreement": 0.9}


def test_limits_that_hold_are_not_reported() -> None:
    torch_side = {"accuracy": 0.95}
    assert missed_label_limits(quantised(), torch_side, Export()) == []
    assert missed_label_limits(quantised(accuracy=0.94, agreement=0.99), torch_side, Export()) == []
    assert missed_fp32({"max_logit_difference": 1e-5}, Export()) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (quantised(accuracy=0.93), "it loses 0.0200 accuracy"),
        (quantised(agreement=0.98), "it keeps torch's label on 0.9800 of 1000 rows"),
    ],
)
def test_a_missed_int8_limit_is_reported(row: Row, message: str) -> None:
    (miss,) = missed_label_limits(row, {"accuracy": 0.95}, Export())
    assert message in miss


@pytest.mark.parametrize(("difference", "message"), [(0.7, "by 7.00e-01"), (float("nan"), "by nan")])
def test_an_onnx_form_that_is_not_torchs_equal_is_reported(difference: float, message: str) -> None:
    (miss,) = missed_fp32({"max_logit_difference": difference}, Export())
    assert message in miss


def test_one_row_of_difference_among_few_is_accepted_and_two_are_not() -> None:
    torch_side = {"accuracy": 0.95}
    assert missed_label_limits(quantised(accuracy=0.93, agreement=0.98, rows=50), torch_side, Export()) == []
    assert len(missed_label_limits(quantised(accuracy=0.91, agreement=0.96, rows=50), torch_side, Export())) == 2


def test_metrics_compare_with_torch_and_with_the_targets() -> None:
    torch_side = {"logits": list(np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]], np.float32))}
    other = {"logits": list(np.array([[2.0, 1.5], [1.5, 1.0], [3.0, 0.0]], np.float32))}
    targets = np.array([0, 1, 1])
    assert label_metrics(torch_side, torch_side, targets) == pytest.approx(
        {"rows": 3, "accuracy": 2 / 3, "agreement": 1.0}
    )
    assert label_metrics(other, torch_side, targets) == pytest.approx(
        {"rows": 3, "accuracy": 1 / 3, "agreement": 2 / 3}
    )
    assert max_difference(other, torch_side) == 1.5


@pytest.mark.parametrize("method", int8.METHODS)
def test_an_int8_row_is_answered_the_same_whatever_its_neighbours(
    tiny_export: Path, tmp_path: Path, method: str
) -> None:
    int8.write_int8(tiny_export / files.FP32, tmp_path / "int8.onnx", method)
    model = OnnxModel(tmp_path / "int8.onnx", 1)
    alone = np.concatenate([model.run([row], Limits(64, 1, 64))[0]["logits"] for row in ROWS])
    together, _ = model.run(ROWS, Limits(1000, len(ROWS), 1000))
    np.testing.assert_allclose(together["logits"], alone, atol=1e-5)


def test_one_large_token_takes_no_precision_of_the_others(tmp_path: Path) -> None:
    """Multiply a matrix of tokens, one a thousand times larger, with a weight; by the method that no CPU saturates."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(64, 32)).astype(np.float32)
    tokens = random.normal(size=(1, 9, 64)).astype(np.float32)
    tokens[0, 4] *= 1000
    tokens[0, 5] = 0
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["tokens", "weight"], ["product"])],
        "product",
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [1, 9, 64])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, [1, 9, 32])],
        [numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "fp32.onnx"
    )
    int8.write_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", "per_token_7bit")
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    (product,) = session.run(None, {"tokens": tokens})
    expected = tokens @ weight
    error = np.abs(product - expected).max(axis=-1)[0]
    size = np.abs(expected).max(axis=-1)[0]
    assert (error <= 0.03 * size).all()
    assert error[5] == 0
