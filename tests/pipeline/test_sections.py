import math

import pytest

from pipeline.sections import Chart, Table


def test_a_row_fits_its_columns() -> None:
    with pytest.raises(AssertionError, match="does not fit"):
        Table("counts", ["source", "documents"], [["plays"]])


def test_points_that_no_axis_shows_are_left_out_and_counted() -> None:
    points = [(0.0, 1.0), (1.0, math.nan), (2.0, 0.0), (3.0, math.inf), (4.0, 2.0)]
    plain = Chart("loss", {"a": points}, "step", "loss")
    assert plain.drawable("a") == [(0.0, 1.0), (2.0, 0.0), (4.0, 2.0)]
    assert plain.left_out() == 2
    both_log = Chart("loss", {"a": points}, "step", "loss", log_x=True, log_y=True)
    assert both_log.drawable("a") == [(4.0, 2.0)]
    assert both_log.left_out() == 4
