"""Provide pipelines on the tiny exports, and a service with TorchServe's real context."""

from __future__ import annotations

from pathlib import Path

import pytest
from ts.context import Context

from handlers.batch import BatchService
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from tests.support.torchserve import new_context


@pytest.fixture(scope="module")
def pipeline(tiny_export: Path) -> ClassificationPipeline:
    return ClassificationPipeline.load(tiny_export)


@pytest.fixture(scope="module")
def qa(tiny_qa_export: Path) -> QuestionAnsweringPipeline:
    """Load fp32, where an answer does not depend on its neighbours."""
    return QuestionAnsweringPipeline.load(tiny_qa_export, model_file="model.onnx")


@pytest.fixture
def context() -> Context:
    return new_context()


@pytest.fixture
def service(pipeline: ClassificationPipeline, context: Context) -> BatchService:
    return BatchService(pipeline, context, 2048)
