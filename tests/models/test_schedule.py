import pytest

from models.schedule import BatchSchedule, Plan, lr_at, whole_plan
from tests.models.fakes import tiny_optim


def test_lr_at_the_edges() -> None:
    config = tiny_optim(peak_lr=2.0, warmup_fraction=0.1, decay_fraction=0.4, final_lr_fraction=0.25)
    for fraction, lr in ((0, 0.0), (0.05, 1.0), (0.1, 2.0), (0.6, 2.0), (0.8, 1.25), (1.0, 0.5), (1.5, 0.5)):
        assert lr_at(fraction, config) == pytest.approx(lr), fraction


def test_lr_without_warmup_or_decay_is_flat() -> None:
    config = tiny_optim(peak_lr=2.0, warmup_fraction=0.0, decay_fraction=0.0)
    assert [lr_at(fraction, config) for fraction in (0.0, 0.5, 1.0)] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("total", "stages"),
    [
        (100, ((0.0, 8),)),
        (96, ((0.0, 8),)),
        (1000, ((0.0, 4), (0.1, 8), (0.5, 16))),
        (10, ((0.0, 7), (0.1, 3), (0.2, 2))),  # a stage that its predecessor has run over
        (1, ((0.0, 8), (0.5, 16))),
    ],
)
def test_steps_are_those_of_a_walk(total: int, stages: tuple[tuple[float, int], ...]) -> None:
    plan = Plan(total, BatchSchedule(stages))
    first, walked = 0, []
    while first < total:
        size = [size for start, size in stages if first >= round(start * total)][-1]
        count = min(size, total - first)
        walked.append((first, count, (first + count / 2) / total))
        first += count
    assert [plan.step(index) for index in range(plan.steps)] == walked
    with pytest.raises(IndexError):
        plan.step(plan.steps)


@pytest.mark.parametrize("stages", [(), ((0.1, 8),), ((0.0, 8), (0.0, 4)), ((0.0, 8), (1.0, 4)), ((0.0, 0),)])
def test_wrong_stages_are_refused(stages: tuple[tuple[float, int], ...]) -> None:
    with pytest.raises(ValueError, match="batch stage"):
        BatchSchedule(stages)


@pytest.mark.parametrize("tokens", [1, 100, 1000, 12_345, 99_999])
@pytest.mark.parametrize("stages", [((0.0, 4),), ((0.0, 4), (0.5, 8)), ((0.0, 4), (0.3, 8), (0.6, 16))])
def test_a_whole_plan_has_no_short_step(tokens: int, stages: tuple[tuple[float, int], ...]) -> None:
    plan = whole_plan(tokens, 16, stages)
    assert plan.total_sequences * 16 >= tokens
    sizes = {size for _, size in stages}
    assert {plan.step(i)[1] for i in range(plan.steps)} <= sizes
    assert plan.total_sequences <= max(-(-tokens // 16), 4) + 3 * stages[-1][1]
