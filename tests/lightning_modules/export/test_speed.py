"""Time forms on a clock that only their own work moves, so that every number is known beforehand."""

import pytest

from lightning_modules.export.speed import compare_speed

ROWS = [[i] * (i % 7 + 1) for i in range(10)]


class Bench:
    """Make forms that take a set time for each row, and the clock that they move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, list[list[int]]]] = []

    def clock(self) -> float:
        return self.now

    def form(self, name, cost=lambda rows, calls: float(len(rows))):
        def run(rows):
            self.calls.append((name, rows))
            self.now += cost(rows, sum(1 for called, _ in self.calls if called == name))

        return run


def test_latency_is_per_single_row_and_throughput_per_batch():
    bench = Bench()
    forms = {
        "torch": bench.form("torch", lambda rows, _: 0.040 if len(rows) == 1 else 0.010 * len(rows)),
        "int8": bench.form("int8", lambda rows, _: 0.005 if len(rows) == 1 else 0.001 * len(rows)),
    }
    speeds = compare_speed(forms, ROWS, batch_size=5, repeats=3, clock=bench.clock)
    assert list(speeds) == ["torch", "int8"]
    assert speeds["torch"].latency_ms_p50 == pytest.approx(40)
    assert speeds["int8"].latency_ms_p50 == pytest.approx(5)
    assert speeds["torch"].rows_per_second == pytest.approx(100)
    assert speeds["int8"].rows_per_second == pytest.approx(1000)


def test_all_forms_get_each_call_before_the_next_and_take_turns_to_begin():
    bench = Bench()
    forms = {name: bench.form(name) for name in ("a", "b", "c")}
    compare_speed(forms, ROWS, latency_rows=4, batch_size=4, repeats=1, clock=bench.clock)
    timed = bench.calls[6:]  # after the two untimed calls of each form
    rounds = [timed[i : i + 3] for i in range(0, len(timed), 3)]
    assert all(len({str(rows) for _, rows in turn}) == 1 for turn in rounds)
    orders = ["".join(name for name, _ in turn) for turn in rounds]
    assert orders == ["abc", "bca", "cab", "abc", "abc", "bca", "cab"]


def test_every_row_is_in_one_batch_and_single_rows_are_spread_from_first_to_last():
    bench = Bench()
    compare_speed({"a": bench.form("a")}, ROWS, latency_rows=4, batch_size=4, repeats=1, clock=bench.clock)
    timed = [rows for _, rows in bench.calls[2:]]
    assert timed[:4] == [[ROWS[0]], [ROWS[3]], [ROWS[6]], [ROWS[9]]]
    assert timed[4:] == [ROWS[:4], ROWS[4:8], ROWS[8:]]


def test_the_first_calls_are_not_timed():
    bench = Bench()
    form = bench.form("a", lambda rows, call: 60.0 if call <= 2 else 0.001 * len(rows))
    speed = compare_speed({"a": form}, ROWS, repeats=1, clock=bench.clock)["a"]
    assert speed.latency_ms_p50 == pytest.approx(1)
    assert speed.rows_per_second == pytest.approx(1000)


def test_one_disturbed_repeat_leaves_the_median():
    bench = Bench()
    calls_a_repeat = 10 + 1
    disturbed = range(2 + calls_a_repeat + 1, 2 + 2 * calls_a_repeat + 1)
    form = bench.form("a", lambda rows, call: 0.001 * len(rows) * (8 if call in disturbed else 1))
    speed = compare_speed({"a": form}, ROWS, batch_size=10, repeats=3, clock=bench.clock)["a"]
    assert speed.latency_ms_p50 == pytest.approx(1)
    assert speed.rows_per_second == pytest.approx(1000)


def test_the_latency_is_the_median_of_the_rows_of_a_repeat():
    bench = Bench()
    rows = [[0] * length for length in range(1, 12)]
    form = bench.form("a", lambda rows, _: 0.001 * sum(map(len, rows)))
    speed = compare_speed({"a": form}, rows, repeats=1, clock=bench.clock)["a"]
    assert speed.latency_ms_p50 == pytest.approx(6)


@pytest.mark.parametrize(("seconds", "repeats"), [(0, 1), (25, 2), (1000, 5)])
def test_no_repeat_begins_after_the_time_is_up_but_the_first_always_runs(seconds, repeats):
    bench = Bench()
    compare_speed({"a": bench.form("a")}, ROWS, seconds=seconds, repeats=5, clock=bench.clock)
    calls_a_repeat = 10 + 1  # 20 seconds: each row alone, and all in a batch
    assert len(bench.calls) == 2 + repeats * calls_a_repeat


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"batch_size": 0}, {"latency_rows": 0}])
def test_numbers_below_one_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} 0"):
        compare_speed({"a": Bench().form("a")}, ROWS, **wrong)


@pytest.mark.parametrize(("forms", "rows"), [({}, ROWS), ({"a": Bench().form("a")}, [])])
def test_nothing_to_time_is_an_error(forms, rows):
    with pytest.raises(ValueError, match="at least one form and one row"):
        compare_speed(forms, rows)
