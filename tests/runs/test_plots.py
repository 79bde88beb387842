"""Pictures of a metric: real figures, looked at by their parts and as PNG."""

from __future__ import annotations

import subprocess
import sys
import time

import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from test_frame import frame

from replicate_magic.errors import CellError
from replicate_magic.runs.plots import plot

HOUR_US = 3_600_000_000
BEGUN_US = 1_760_000_000_000_000


def runs(*values, model="acme/poet", metric="predict_time", **row):
    """One run an hour, each with the metric that is given."""
    return [
        {"model": model, "status": "succeeded", "created_us": BEGUN_US + hour * HOUR_US,
         "metrics": {} if value is None else {metric: value}, **row}
        for hour, value in enumerate(values)
    ]  # fmt: skip


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def drawn(figure):
    """The figure as PNG, with the size at which it is shown."""
    png, metadata = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    return png, metadata


def test_a_figure_has_the_spread_and_the_course_with_units():
    spread, course = plot(frame(*runs(1, 2, 3), *runs(8, model="acme/painter"))).axes

    assert labels(spread) == ["acme/poet\n3 runs", "acme/painter\n1 run"]
    assert spread.get_title() == "predict time by model"
    assert spread.get_xlabel() == course.get_ylabel() == "predict time (seconds)"
    assert course.get_title() == "by time of creation (local)"


def test_every_run_is_a_point_of_its_groups_colour():
    spread, course = plot(frame(*runs(1, 2, 3), *runs(8, model="acme/painter"))).axes

    for axes in (spread, course):
        assert [len(line.get_xdata()) for line in axes.lines] == [3, 1]
    assert [a.get_color() for a in spread.lines] == [b.get_color() for b in course.lines]
    assert len({line.get_color() for line in course.lines}) == 2


def test_a_notebook_shows_a_figure_once_and_nothing_stays_open():
    loaded = set(sys.modules)
    shown, metadata = DisplayFormatter().format(plot(frame(*runs(1, 2))))

    assert set(shown) == {"text/plain", "image/png"}
    assert metadata["image/png"] == {"width": 1000}
    assert "matplotlib.pyplot" not in set(sys.modules) - loaded


def test_a_figure_can_be_written_to_a_file(tmp_path):
    plot(frame(*runs(1, 2, 30, 4000))).savefig(tmp_path / "runs.svg")

    assert "<svg" in (tmp_path / "runs.svg").read_text("utf-8")


# -- which columns ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("predict_time", "predict time (seconds)"),
        ("metrics.output_token_count", "output token count (tokens)"),
        ("tokens_per_second", "tokens per second"),
        ("first_output_after_s", "first output after (seconds)"),
        ("image_count", "image count (images)"),
        ("score", "score"),
    ],
)
def test_a_metric_is_found_with_and_without_its_prefix(metric, label):
    metrics = {"predict_time": 1, "output_token_count": 2, "tokens_per_second": 3, "image_count": 4}
    [row] = runs(1)
    shown = frame({**row, "metrics": metrics, "local": {"first_output_after_s": 0.5}})
    spread, _ = plot(shown.assign(score=-1.5), metric).axes

    assert spread.get_xlabel() == label


def test_an_unknown_metric_is_refused_with_those_there_are():
    with pytest.raises(CellError) as caught:
        plot(frame(*runs(1, local={"retries": 1})), "predict_tme")

    assert str(caught.value) == (
        "The runs have no metric predict_tme. Did you mean predict_time? "
        "There are: metrics.predict_time, local.retries."
    )


@pytest.mark.parametrize("values", [("fast",), (None, -1), (float("nan"),)])
def test_a_metric_without_a_number_is_refused(values):
    shown = frame(*runs(*values)).assign(**{"metrics.predict_time": list(values)})

    with pytest.raises(CellError, match=r"No number is in metrics\.predict_time"):
        plot(shown)


def test_the_groups_may_be_of_any_column():
    shown = frame(*runs(1, 2, tag="a"), *runs(3), *runs(4, tag="a", local={"cell": 7}))

    assert labels(plot(shown, by="tag").axes[0]) == ["a\n3 runs", "no tag\n1 run"]
    assert labels(plot(shown, by="cell").axes[0]) == ["no cell\n3 runs", "7\n1 run"]
    with pytest.raises(CellError, match=r"no column modl\. Did you mean model\?"):
        plot(shown, by="modl")


def test_many_groups_are_the_largest_and_the_rest():
    rows = [row for n in range(12) for row in runs(*[1.0] * (20 - n), model=f"acme/m{n}")]
    spread, _ = plot(frame(*rows)).axes

    assert len(labels(spread)) == 8
    assert labels(spread)[0] == "acme/m0\n20 runs"
    assert labels(spread)[-1] == "5 others\n55 runs"


@pytest.mark.parametrize("other", [frame(), [1], None, pd.DataFrame()])
def test_what_has_no_runs_is_refused(other):
    with pytest.raises(CellError):
        plot(other)


# -- what there may be ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda shown: shown.iloc[:1],
        lambda shown: shown.drop(columns=["created_at"]),
        lambda shown: shown.assign(created_at=pd.NaT),
        lambda shown: shown.assign(created_at=shown["created_at"].dt.tz_localize(None)),
        lambda shown: shown.assign(**{"metrics.predict_time": [0.0, 0.0, 0.0]}),
        lambda shown: shown.assign(**{"metrics.predict_time": [1e-9, float("nan"), 1e11]}),
        lambda shown: shown.assign(**{"metrics.predict_time": [1, None, "text"]}),
        lambda shown: shown.assign(model=["$x$", r"$\frac{", "_hidden"]),
        lambda shown: shown.assign(model=["a\x1b[31mb", "c\nd", "e" * 500]),
        lambda shown: pd.concat([shown, shown]),
        lambda shown: shown.set_index("model", drop=False),
    ],
)
def test_any_runs_are_drawn(change):
    png, _ = drawn(plot(change(frame(*runs(1, 2, None)[:2], *runs(3, model="acme/painter")))))

    assert len(png) > 5_000


def test_values_far_apart_have_a_logarithmic_axis():
    near, far = (plot(frame(*runs(*values))).axes for values in ((1, 40), (1, 60)))

    assert [axes.get_xscale() for axes in near] == ["linear", "linear"]
    assert (far[0].get_xscale(), far[1].get_yscale()) == ("log", "log")
    assert far[0].get_xlabel() == "predict time (seconds, log scale)"


def test_values_near_each_other_are_seen_from_zero():
    spread, course = plot(frame(*runs(10, 11))).axes

    assert spread.get_xlim()[0] <= 0
    assert spread.get_xlim()[1] > 11
    assert course.get_ylim()[0] <= 0
    assert course.get_ylim()[1] > 11


def test_a_hundred_thousand_runs_are_drawn_soon_and_not_strewn():
    few = frame(*runs(*range(1, 51)), *runs(*range(1, 51), model="acme/painter"))
    many = few.iloc[[*range(100)] * 1_000]
    began = time.perf_counter()
    figure = plot(many)
    drawn(figure)

    assert time.perf_counter() - began < 10
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [2, 2]
    assert sum(len(line.get_xdata()) for line in figure.axes[1].lines) == 100_000


def test_without_matplotlib_it_is_said_how_to_get_it():
    code = """
import sys
sys.modules["matplotlib"] = None
from replicate_magic.runs.plots import plot
try:
    plot(None)
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("ReplicateMagicError")
    assert 'pip install "replicate-magic[plot]"' in done.stdout
