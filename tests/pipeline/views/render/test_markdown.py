from pipeline.sections import Chart, Table
from pipeline.views import chart_table
from pipeline.views.render import markdown


def test_a_fence_is_longer_than_any_run_of_back_ticks_inside() -> None:
    assert markdown.fenced("plain").startswith("```text\n")
    assert markdown.fenced("a ```` b").splitlines()[0] == "`````text"


def test_a_cell_cannot_break_its_table() -> None:
    drawn = markdown.table(Table("t", ["a|b", "n"], [["x | y\nz", 1234]]))
    assert drawn.splitlines()[2:] == ["| a\\|b | n |", "| --- | ---: |", "| x \\| y z | 1,234 |"]


def test_a_line_chart_becomes_a_short_table_with_its_ends() -> None:
    chart = Chart("Loss", {"loss": [(float(i), 10.0 - i) for i in range(1000)]}, "step", "nats")
    table = chart_table.chart_table(chart)
    assert table.columns == ["series", "step", "nats"]
    assert len(table.rows) == chart_table.MOST_ROWS
    assert table.rows[0] == ["loss", 0.0, 10.0]
    assert table.rows[-1] == ["loss", 999.0, -989.0]


def test_bars_become_a_row_a_label() -> None:
    series = {"kept": [(0.0, 3.0), (1.0, 4.0)], "dropped": [(1.0, 5.0)]}
    table = chart_table.chart_table(Chart("Kept", series, "source", "documents", kind="bar", labels=["plays", "chats"]))
    assert table.columns == ["source", "kept, documents", "dropped, documents"]
    assert table.rows == [["plays", 3.0, None], ["chats", 4.0, 5.0]]
