import pytest

from lightning_modules.errors import UserError
from lightning_modules.settings import Gate


def test_says_by_how_much_each_figure_is_missed():
    assert Gate(accuracy=0.88, macro_f1=0.9).check({"accuracy": 0.8712, "macro_f1": 0.85}) == [
        "accuracy 0.8712 is 0.0088 below the required 0.8800",
        "macro_f1 0.8500 is 0.0500 below the required 0.9000",
    ]


def test_the_required_figure_itself_passes():
    assert Gate(accuracy=0.88).check({"accuracy": 0.88, "macro_f1": 0.1}) == []


def test_a_narrow_miss_is_told_apart_from_the_required_figure():
    assert Gate(accuracy=0.88).check({"accuracy": 0.879996}) == [
        "accuracy 0.879996 is 0.000004 below the required 0.880000"
    ]


def test_a_figure_that_is_no_number_is_missed():
    assert len(Gate(macro_f1=0.5).check({"macro_f1": float("nan")})) == 1


def test_without_requirements_everything_passes():
    assert Gate().verdict({}) == {"passed": True, "required": {}, "missed": []}


def test_the_verdict_holds_what_the_report_shows():
    verdict = Gate(accuracy=0.5).verdict({"accuracy": 0.4})
    assert verdict["passed"] is False
    assert verdict["required"] == {"accuracy": 0.5}
    assert verdict["missed"] == ["accuracy 0.4000 is 0.1000 below the required 0.5000"]


def test_a_percentage_is_refused_by_name():
    with pytest.raises(UserError, match=r"gate\.accuracy is 88: give a fraction"):
        Gate(accuracy=88)
