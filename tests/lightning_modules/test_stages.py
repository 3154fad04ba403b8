from lightning_modules.stages import Stages, duration


def test_each_stage_lasts_until_the_next_and_adds_up() -> None:
    now = iter([0.0, 1.0, 4.0, 10.0, 17.0])
    stages = Stages(clock=lambda: next(now))
    for stage in ("data", "training", "data"):
        stages.begin(stage)
    assert stages.end() == "data 10 s, training 6 s; 16 s in all"
    assert stages.seconds == {}


def test_durations_are_written_in_the_two_largest_units() -> None:
    assert [duration(s) for s in (0.4, 119, 185, 7805)] == ["0 s", "119 s", "3 min 5 s", "2 h 10 min"]
