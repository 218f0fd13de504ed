"""Plots as inline SVG: drawn here, because a report must open anywhere, offline, in light and dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, log10

from rag.evaluation.page import Html, join, tag

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 10, 38
COLOURS = ("one", "two", "three")
MOST_POINTS = 240  # of a curve: more cannot be seen


@dataclass(frozen=True, slots=True)
class Series:
    """A named curve, or, without y, a named set of values."""

    name: str
    x: Sequence[float]
    y: Sequence[float] = ()


def curves(
    title: str, series: Sequence[Series], x_title: str, y_title: str, steps: bool = False, top: float = 1
) -> Html:
    """Curves over a common x; y, a share if nothing is said, goes from 0 to `top`. `steps` marks the single points."""
    high = max(x for one in series for x in one.x)
    low = min(x for one in series for x in one.x) if steps else 0.0
    across, up = _scale(low, high, LEFT, WIDTH - RIGHT), _scale(0, top, HEIGHT - BOTTOM, TOP)
    drawn = [_x_axis(ticks(low, high, whole=steps), across, x_title), _y_axis(ticks(0, top), up, y_title)]
    for one, colour in zip(series, COLOURS, strict=False):
        keep = max(1, len(one.x) // MOST_POINTS)
        points = [(across(x), up(y)) for x, y in list(zip(one.x, one.y, strict=True))[::-keep]]
        drawn.append(tag("polyline", points=_points(points), class_=f"curve {colour}"))
        if steps:
            drawn += [tag("circle", cx=_round(x), cy=_round(y), r=2.5, class_=f"{colour} flat") for x, y in points]
    return _figure(title, drawn, [one.name for one in series])


def histogram(title: str, values: Sequence[float], x_title: str, bins: int = 32) -> Html:
    """How values from 0 on spread. The longest percent of the tail is drawn into the last bin."""
    low, high = 0.0, bulk(values)[1]
    share = [0.0] * bins
    for value in values:
        share[min(bins - 1, int((value - low) / (high - low) * bins))] += 1 / len(values)
    across, up = _scale(low, high, LEFT, WIDTH - RIGHT), _scale(0, max(share), HEIGHT - BOTTOM, TOP)
    wide = (WIDTH - RIGHT - LEFT) / bins
    drawn = [_x_axis(ticks(low, high), across, x_title), _y_axis(ticks(0, max(share)), up, "share of questions")]
    for number, value in enumerate(share):
        place = {"x": _round(LEFT + number * wide + 0.5), "y": _round(up(value)), "width": _round(wide - 1)}
        drawn.append(tag("rect", **place, height=_round(up(0) - up(value)), class_="one flat"))
    return _figure(title, drawn, [])


def densities(title: str, series: Sequence[Series], x_title: str) -> Html:
    """How the values of several groups spread, each smoothed by a Gaussian kernel (Silverman's rule) and drawn to
    the same height, so that small groups are seen as well."""
    low, high = bulk([value for one in series for value in one.x])
    low, high = low - (high - low) / 6, high + (high - low) / 6
    across, up = _scale(low, high, LEFT, WIDTH - RIGHT), _scale(0, 1, HEIGHT - BOTTOM, TOP + 6)
    at = [low + (high - low) * i / 119 for i in range(120)]
    drawn = [_x_axis(ticks(low, high), across, x_title), _y_axis([0.0], up, "density", labelled=False)]
    for one, colour in zip(series, COLOURS, strict=False):
        heights = density(one.x, at)
        curve = [(across(x), up(y)) for x, y in zip(at, heights, strict=True)]
        closed = [(across(low), up(0)), *curve, (across(high), up(0))]
        drawn.append(tag("polyline", points=_points(closed), class_=f"{colour} flat faint"))
        drawn.append(tag("polyline", points=_points(curve), class_=f"curve {colour}"))
    return _figure(title, drawn, [f"{one.name} ({len(one.x):,})" for one in series])


def interval_bar(value: float, low: float, high: float, start: float = 0.0, end: float = 1.0) -> Html:
    """A value with its interval on a line from `start` to `end`, for a table's cell."""
    across = _scale(start, end, 3, 127)
    zero = across(0.0) if start < 0 < end else None
    return tag(
        "svg",
        tag("line", x1=3, x2=127, y1=8, y2=8, class_="axis"),
        tag("line", x1=_round(zero), x2=_round(zero), y1=1, y2=15, class_="axis") if zero is not None else "",
        tag("line", x1=_round(across(low)), x2=_round(across(high)), y1=8, y2=8, class_="one band"),
        tag("circle", cx=_round(across(value)), cy=8, r=3, class_="one flat"),
        viewBox="0 0 130 16",
        class_="bar",
        aria_hidden="true",
    )


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Four to eight round numbers that cover a range from within."""
    span = (high - low) or 1.0
    unit = 10.0 ** floor(log10(span / 4))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if span / (unit * factor) <= 7)
    step = max(1.0, float(round(step))) if whole else step
    first = -floor(-low / step + 1e-9)
    return [step * (first + i) for i in range(int((high - step * first) / step + 1e-9) + 1)]


def bulk(values: Sequence[float]) -> tuple[float, float]:
    """The range of the values but for the longest percent of the tail; never empty."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[int(0.99 * (len(ordered) - 1))]
    return low, high if high > low else low + (abs(low) or 1.0)


def density(values: Sequence[float], at: Sequence[float]) -> list[float]:
    """The values smoothed by a Gaussian kernel (Silverman's rule), 1 where they are densest."""
    import numpy as np

    sample = np.asarray(values, np.float64)
    width = (1.06 * sample.std() * len(sample) ** -0.2) or (at[-1] - at[0]) / 40
    found = np.exp(-0.5 * ((np.asarray(at)[:, None] - sample) / width) ** 2).sum(axis=1)
    heights: list[float] = (found / (found.max() or 1)).tolist()  # 0 where all values lie elsewhere
    return heights


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return start + (value - low) / span * (end - start)

    return place


def _x_axis(at: Sequence[float], across: Callable[[float], float], title: str) -> Html:
    y = HEIGHT - BOTTOM
    labels = [tag("text", f"{x:g}", x=_round(across(x)), y=y + 16, text_anchor="middle") for x in at]
    name = tag("text", title, x=_round((LEFT + WIDTH - RIGHT) / 2), y=HEIGHT - 3, text_anchor="middle")
    return join([tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="axis"), *labels, name])


def _y_axis(at: Sequence[float], up: Callable[[float], float], title: str, labelled: bool = True) -> Html:
    lines = [tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_round(up(y)), y2=_round(up(y)), class_="axis") for y in at]
    ends = {"x": LEFT - 7, "text_anchor": "end"}
    labels = [tag("text", f"{y:g}", y=_round(up(y) + 4), **ends) for y in at] if labelled else []
    middle = _round((TOP + HEIGHT - BOTTOM) / 2)
    turned = {"x": 10, "y": middle, "text_anchor": "middle", "transform": f"rotate(-90 10 {middle})"}
    return join([*lines, *labels, tag("text", title, **turned)])


def _figure(title: str, drawn: Sequence[Html], names: Sequence[str]) -> Html:
    keys = [tag("span", tag("i", class_=colour), name) for name, colour in zip(names, COLOURS, strict=False) if name]
    picture = tag("svg", *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)
    return tag("div", tag("h3", title), picture, tag("div", *keys, class_="key"), class_="card")


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_round(x)},{_round(y)}" for x, y in points)


def _round(value: float) -> float:
    return round(value, 1)
