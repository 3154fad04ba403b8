"""Test the server's metrics as Prometheus reads them."""

from __future__ import annotations

import pytest

from loadtest.monitor import Work, read_work

TEXT = """
# HELP batch_fill Torchserve prometheus histogram metric with unit: ratio
# TYPE batch_fill histogram
batch_fill_bucket{ModelName="intent",Level="Model",le="0.005",} 0.0
batch_fill_count{ModelName="intent",Level="Model",} 20.0
batch_fill_sum{ModelName="intent",Level="Model",} 1.25
batch_fill_count{ModelName="qa",Level="Model",} 4.0
ts_inference_requests_total{model_name="intent",model_version="default",hostname="h",} 300.0
ts_inference_requests_total{model_name="qa",model_version="1.0",hostname="h",} 8.0
tokens_total{ModelName="intent",Level="Model",} 4000.0
padded_tokens_total{ModelName="intent",Level="Model",} 5.0E3
"""


def test_the_work_of_two_models_is_told_apart() -> None:
    work = read_work(TEXT, ["intent"])
    assert work == Work(requests=300, batches=20, tokens=4000, run_tokens=5000)
    assert work.batch_size == 15
    assert work.padding_share == pytest.approx(0.2)
    assert read_work(TEXT, ["intent", "qa"]).requests == 308


def test_work_counts_from_before() -> None:
    work = read_work(TEXT, ["intent"]).since(Work(requests=200, batches=10, tokens=3000, run_tokens=3000))
    assert work.batch_size == 10
    assert work.padding_share == pytest.approx(0.5)


def test_without_work_there_is_no_batch() -> None:
    work = read_work(TEXT, ["nobody"])
    assert (work.batch_size, work.padding_share) == (None, None)
