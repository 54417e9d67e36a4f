import xml.etree.ElementTree as ElementTree

import pytest

from pipeline.sections import Chart
from pipeline.views.render import bars, lines, scales, svg


def parse(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [e for e in root.iter() if name in e.get("class", "").split()]


def test_scale_and_its_ticks() -> None:
    linear = scales.Scale(0, 10, 100, 200)
    assert [linear(v) for v in (0, 5, 10)] == [100, 150, 200]
    assert linear.ticks(5) == [0, 2, 4, 6, 8, 10]
    log = scales.Scale(1, 10_000, 0, 400, log=True)
    assert log(100) == pytest.approx(200)
    assert log.ticks(5) == [1, 10, 100, 1000, 10_000]
    assert scales.Scale(2e-3, 8e-3, 0, 1, log=True).ticks(4) == pytest.approx([2e-3, 4e-3, 6e-3, 8e-3])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [5.0], [1.0, 1.0], [1e-9, 1e9]])
def test_any_values_give_a_scale_with_a_span(values: list[float], log: bool) -> None:
    scale = scales.fit(values, 0, 100, log=log, pad=0.05)
    assert scale.lo < scale.hi
    assert all(scale.lo <= value <= scale.hi for value in values)
    assert scale.ticks()


def test_a_line_chart_names_its_lines_and_itself() -> None:
    chart = Chart("Loss", {"a<b": [(1, 3.0), (2, 2.0)], "other": [(1, 2.5), (2, 2.1)]}, "step", "nats")
    root = parse(lines.draw(chart, 600, 300, "wide"))
    assert root.get("role") == "img"
    assert root.findtext("title") == "Loss"
    described = root.findtext("desc") or ""
    assert "a<b: 2 points, from 3 at 1 to 2 at 2, lowest 2, highest 3." in described
    assert [label.text for label in of_class(root, "label")] == ["a<b", "other"]
    assert len(of_class(root, "line")) == 2


def test_labels_at_the_lines_ends_keep_apart() -> None:
    placed = svg.spread([100.0, 101.0, 102.0, 20.0], 0, 110, 15)
    assert sorted(placed) == pytest.approx([20, 80, 95, 110])
    assert placed[0] < placed[1] < placed[2]


def test_many_series_have_a_legend_instead() -> None:
    series = {f"trial {i}": [(1.0, float(i)), (2.0, float(i))] for i in range(9)}
    chart = Chart("Trials", series, "tokens", "loss")
    assert not lines.labels_fit(chart, 760)
    root = parse(lines.draw(chart, 760, 330, "wide"))
    assert not of_class(root, "label")
    again = [line for line in of_class(root, "line") if line in of_class(root, "again")]
    assert len(again) == 3  # the colours repeat, dashed


def test_thinning_keeps_every_spike() -> None:
    points = [(float(i), 1.0) for i in range(10_000)]
    points[5_001] = (5_001.0, 99.0)
    kept = lines.thinned(points, 600)
    assert len(kept) <= 602
    assert (5_001.0, 99.0) in kept
    assert kept == sorted(kept)


def test_a_chart_without_points_says_so() -> None:
    for draw, kind in ((lines.draw(Chart("t", {"a": []}, "x", "y"), 400, 200, ""), "points"),):
        assert f"no {kind} yet" in draw
    empty = Chart("t", {"a": [(0.0, float("nan"))]}, "x", "y", kind="bar", labels=["one"])
    assert "no values yet" in bars.draw(empty, 400, 200, "")


def test_bars_are_as_long_as_their_values() -> None:
    chart = Chart(
        "Kept", {"kept": [(0, 10.0), (1, 20.0)]}, "source", "documents", kind="bar", labels=["plays", "chats"]
    )
    root = parse(bars.draw(chart, 500, 200, ""))
    first, second = (float(bar.get("width", "0")) for bar in of_class(root, "bar"))
    assert second == pytest.approx(2 * first, rel=0.01)
    assert "plays 10, chats 20" in (root.findtext("desc") or "")


def test_a_histogram_stands_upright() -> None:
    labels = [str(2**i) for i in range(20)]
    chart = Chart("Lengths", {"n": [(i, i + 1.0) for i in range(20)]}, "bytes", "documents", kind="bar", labels=labels)
    root = parse(bars.draw(chart, 500, 300, ""))
    heights = [float(bar.get("height", "0")) for bar in of_class(root, "bar")]
    assert len(heights) == 20
    assert heights == sorted(heights)
