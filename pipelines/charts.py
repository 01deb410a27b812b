"""Pictures of the report, drawn as inline SVG: no library, no network; colours come from the page's style sheet.

Every function takes plain data and gives Markup; all text that comes from data is escaped. What a `title` element says is shown at once
where a pointer rests, by the page's own script, or after a while by a browser that runs none.
"""

import base64
import json
import math
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from markupsafe import Markup

T = TypeVar("T")

MOST_CLASSES = 50  # of a confusion matrix that is drawn; of more, those that are mistaken most
MOST_STEPS = 100  # of a line that is drawn
MOST_WORDS = 2000  # of a map of words
WORDS_NAMED = 40  # of these
CLASSES_NAMED = 20  # on a map
MOST_NAMED = 24  # dots that all have their names
COLOURS_OF_DOTS = 10
NODE = (134, 46)  # width, height of a box of the graph
GAP = (34, 12)


def graph(columns: Sequence[Sequence[dict[str, Any]]], titles: Sequence[str], edges: Iterable[tuple[str, str]]) -> Markup:
    """Boxes in columns, joined from left to right.

    Args:
        columns: of boxes: key, name, below (a second line), title (shown on hover), state (a CSS
            class), share (0 to 1, the bar at the bottom).
        titles: of the columns.
        edges: (key, key) of boxes that are there.
    """
    width, height = NODE
    rows = max((len(column) for column in columns), default=0)
    tall = rows * (height + GAP[1]) - GAP[1]
    at = {}
    for x, column in enumerate(columns):
        top = (tall - len(column) * (height + GAP[1]) + GAP[1]) / 2
        at.update({box["key"]: (1 + x * (width + GAP[0]), 26 + top + y * (height + GAP[1])) for y, box in enumerate(column)})
    parts = [_edge(at[a], at[b], a, b) for a, b in edges]
    for x, title in enumerate(titles):
        parts.append(_text(1 + x * (width + GAP[0]) + width / 2, 12, title, "dim", anchor="middle"))
    parts += [_box(*at[box["key"]], box) for column in columns for box in column]
    return _svg(
        len(columns) * (width + GAP[0]) - GAP[0] + 2, tall + 28, parts, "graph", "the stages, from left to right, and what reads what"
    )


def _edge(a: tuple[float, float], b: tuple[float, float], source: str, target: str) -> Markup:
    width, height = NODE
    x1, y1, x2, y2 = a[0] + width, a[1] + height / 2, b[0], b[1] + height / 2
    if x2 < x1:  # within one column: out to the right, and back
        path = f"M{x1:g} {y1:g}C{x1 + 34:g} {y1:g} {x1 + 34:g} {y2:g} {x1:g} {y2:g}"
    else:
        middle = (x1 + x2) / 2
        path = f"M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"
    return Markup('<path class="edge" d="{}"><title>{} → {}</title></path>').format(path, source, target)


def _box(x: float, y: float, box: dict[str, Any]) -> Markup:
    width, height = NODE
    mark = {"passed": "✓", "failed": "✗"}.get(box["state"], "·")
    parts = [
        Markup('<g class="box {}"><title>{}</title>').format(box["state"], box["title"]),
        Markup('<rect class="frame" x="{:g}" y="{:g}" width="{}" height="{}" rx="7"/>').format(x, y, width, height),
        Markup('<rect class="took" x="{:g}" y="{:g}" width="{:.1f}" height="3" rx="1.5"/>').format(
            x + 8, y + height - 7, (width - 16) * box["share"]
        ),
        _text(x + 9, y + 17, _short(box["name"], 16), "name"),
        _text(x + 9, y + 32, _short(box["below"], 22), "dim"),
        _text(x + width - 9, y + 17, mark, "mark", anchor="end"),
        Markup("</g>"),
    ]
    return Markup("").join(parts)


def lines(series: dict[str, Sequence[tuple[float, float]]], x_label: str) -> Markup:
    """A chart of lines, name -> (x, y) points, with axes; of a long line MOST_STEPS points, the first and the last among them."""
    width, height, top, bottom = 340, 200, 10, 34
    series = {name: thinned(line, MOST_STEPS) for name, line in series.items()}
    points = [point for line in series.values() for point in line]
    x0, x1 = _span([x for x, _ in points])
    y0, y1 = _span([y for _, y in points])
    ticks = nice(y0, y1)
    y0, y1 = min(y0, ticks[0]), max(y1, ticks[-1])
    left = max(46, 12 + 6 * max(len(f"{tick:g}") for tick in ticks))

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / (x1 - x0) * (width - left - 10), top + (y1 - y) / (y1 - y0) * (height - top - bottom)

    parts = []
    for tick in ticks:
        y = place(x0, tick)[1]
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(left, y, width - 10))
        parts.append(_text(left - 6, y + 3.5, f"{tick:g}", "dim", anchor="end"))
    for tick in nice(x0, x1):
        if x0 <= tick <= x1 and (tick == int(tick) or x1 - x0 < 3):
            parts.append(_text(place(tick, y0)[0], height - bottom + 15, f"{tick:g}", "dim", anchor="middle"))
    parts.append(_text((left + width) / 2, height - 4, x_label, "dim", anchor="middle"))
    for i, (name, line) in enumerate(series.items()):
        places = [place(x, y) for x, y in line]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(Markup('<path class="line s{}" d="{}"/>').format(i % 6, path))
        for (x, y), (px, py) in zip(line, places, strict=True):
            # few points are dots; of many, each is only there for the mouse
            parts.append(
                Markup('<circle class="s{}{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
                    i % 6, "" if len(line) <= 40 else " unseen", px, py, 2.4, f"{name}, {x_label} {x:g}: {figure(y)}"
                )
            )
    return _svg(width, height, parts, "chart", ", ".join(series) + f" over {x_label}")


def thinned(line: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly from the first to the last."""
    if len(line) <= most:
        return list(line)
    return [line[round(i * (len(line) - 1) / (most - 1))] for i in range(most)]


def reliability(bins: Sequence[tuple[float, float, int]]) -> Markup:
    """Accuracy over confidence, (confidence, accuracy, documents) of each bin; on the diagonal a classifier is as right as it is sure.

    The size of a dot is its share of the documents.
    """
    side, left, bottom, edge = 220, 40, 34, 10
    span = side - left - edge
    total = sum(n for *_, n in bins) or 1

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x * span, edge + (1 - y) * span

    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = place(tick, tick)
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(left, y, side - edge))
        parts.append(_text(left - 6, y + 3.5, f"{tick:.0%}", "dim", anchor="end"))
        if tick in (0, 0.5, 1):
            parts.append(_text(x, side - bottom + 6, f"{tick:.0%}", "dim", anchor="middle"))
    parts.append(_text(left + span / 2, side - 12, "confidence; up: accuracy", "dim", anchor="middle"))
    (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
    parts.append(Markup('<path class="target" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(x0, y0, x1, y1))
    places = [place(confidence, accuracy) for confidence, accuracy, _ in bins]
    parts.append(Markup('<path class="line s0" d="M{}"/>').format("L".join(f"{x:.1f} {y:.1f}" for x, y in places)))
    for (confidence, accuracy, n), (x, y) in zip(bins, places, strict=True):
        said = f"{n:,} documents of confidence {confidence:.1%}: {accuracy:.1%} of them right"
        dot = Markup('<circle class="s0" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>')
        parts.append(dot.format(x, y, 2 + 7 * math.sqrt(n / total), said))
    return _svg(side + 12, side - 4, parts, "chart square", "accuracy over confidence")  # half of the last tick stands beyond the edge


def strips(groups: Sequence[tuple[str, Sequence[tuple[str, float]]]], x_label: str) -> Markup:
    """A line of dots for each group of (name, x), on one axis, and a mark at each group's mean."""
    width, high, left, top, bottom = 560, 26, 130, 8, 34
    height = top + high * len(groups) + bottom
    values = [x for _, dots in groups for _, x in dots]
    ticks = nice(*_span([min([*values, 0]), max([*values, 0])]))

    def at(x: float) -> float:
        return left + (x - ticks[0]) / (ticks[-1] - ticks[0]) * (width - left - 16)

    parts = []
    for tick in ticks:
        kind = "axis" if tick == 0 else "grid"
        parts.append(Markup('<path class="{}" d="M{:.1f} {}V{}"/>').format(kind, at(tick), top, height - bottom))
        parts.append(_text(at(tick), height - bottom + 15, f"{tick:g}", "dim", anchor="middle"))
    parts.append(_text((left + width) / 2, height - 4, x_label, "dim", anchor="middle"))
    for i, (group, dots) in enumerate(groups):
        y = top + high * (i + 0.5)
        parts.append(_text(left - 10, y + 4, _short(group, 20), "label", anchor="end"))
        for name, x in dots:
            dot = Markup('<circle class="s{} faint" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>')
            parts.append(dot.format(i % 6, at(x), y, f"{name}: {figure(x)}"))
        mean = sum(x for _, x in dots) / max(len(dots), 1)
        mark = Markup('<path class="mean s{}" d="M{:.1f} {:.1f}v16"><title>{}</title></path>')
        parts.append(mark.format(i % 6, at(mean), y - 8, f"mean of {group}: {figure(mean)}"))
    return _svg(width, height, parts, "chart broad", f"{x_label} of {', '.join(name for name, _ in groups)}")


def word_map(words: Sequence[tuple[str, float, float, float, float]]) -> Markup:
    """Words in the plane, (word, x, y, kept, agreed), the shares from 0 to 1: the fainter a dot, the fewer of its neighbours are its own.

    All of them lie in the attribute `data-words`, [word, x, y, kept, agreed], for the page's script to find.
    """
    side, edge = 560, 14
    words = thinned(words, MOST_WORDS)
    at = np.array([[x, y] for _, x, y, *_ in words], np.float64).reshape(-1, 2)
    low, (wide, high) = (at.min(axis=0), np.maximum(np.ptp(at, axis=0), 1e-9)) if len(at) else (0.0, (1.0, 1.0))
    scale = min((side - 2 * edge) / wide, 1.2 * side / high)  # one for both: distances stay what they are
    height = round(high * scale + 2 * edge)
    at = (side - wide * scale) / 2 * np.array([1.0, 0.0]) + edge * np.array([0.0, 1.0]) + (at - low) * scale
    parts = []
    for tone, (least, most) in enumerate(((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 2.0))):
        mine = [(x, y) for (x, y), (*_, kept, _) in zip(at.tolist(), words, strict=True) if least <= kept < most]
        path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in mine)
        parts.append(Markup('<path class="word t{}" d="{}"/>').format(tone, path))
    for i in _apart(at, [kept for *_, kept, _ in words], [word for word, *_ in words], side):
        parts.append(_text(at[i, 0], at[i, 1] - 5, _short(words[i][0], 16), "class small", anchor="middle"))
    data = [
        [word, round(x), round(y), round(kept, 2), round(agreed, 2)]
        for (word, *_, kept, agreed), (x, y) in zip(words, at.tolist(), strict=True)
    ]
    svg = '<svg class="chart map" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" aria-label="map of {2} words" data-words="{3}">{4}</svg>'
    return Markup(svg).format(side, height, len(words), json.dumps(data, ensure_ascii=False, separators=(",", ":")), Markup("").join(parts))


def _apart(at: np.ndarray, worth: Sequence[float], words: Sequence[str], side: float) -> list[int]:
    """The rows whose names can be written without lying on each other, those of greatest worth first."""
    taken: list[tuple[float, float, float]] = []
    found = []
    for i in sorted(range(len(words)), key=lambda i: (-worth[i], i)):
        half = 3.6 * min(len(words[i]), 16) + 4
        x, y = at[i]
        clear = all(abs(x - a) > half + b or abs(y - c) > 16 for a, c, b in taken)
        if clear and half < x < side - half and y > 16:
            taken.append((x, y, half))
            found.append(i)
            if len(found) == WORDS_NAMED:
                break
    return found


def points(named: Sequence[tuple[str, float, float]], x_label: str, y_label: str) -> Markup:
    """A named dot for each (name, x, y), x above 0 and drawn by its logarithm; a line joins those that none beats in both: low x, high y.

    Of more than MOST_NAMED dots these alone have their names beside them.
    """
    width, height, top, bottom = 340, 230, 14, 34
    x0, x1 = _span([math.log10(x) for _, x, _ in named])
    y0, y1 = _span([y for *_, y in named])
    ticks = nice(y0, y1)
    left = max(46, 12 + 6 * max(len(f"{tick:g}") for tick in ticks))
    y0, y1 = min(y0, ticks[0]), max(y1, ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        right = width - left - 80  # room for the last one's name
        return left + (math.log10(x) - x0) / (x1 - x0) * right, top + (y1 - y) / (y1 - y0) * (height - top - bottom)

    parts = []
    for tick in ticks:
        y = place(10**x0, tick)[1]
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(left, y, width - 10))
        parts.append(_text(left - 6, y + 3.5, f"{tick:g}", "dim", anchor="end"))
    round_ones = [10**power * step for power in range(math.floor(x0), math.ceil(x1) + 1) for step in ((1, 2, 5) if x1 - x0 < 2 else (1,))]
    inside = [tick for tick in round_ones if x0 <= math.log10(tick) <= x1]
    for tick in inside if len(inside) > 1 else [round(10**x0), round(10**x1)]:
        if tick > 0:
            parts.append(_text(place(tick, y0)[0], height - bottom + 15, f"{tick:g}", "dim", anchor="middle"))
    parts.append(_text((left + width) / 2, height - 4, f"{x_label}; up: {y_label}", "dim", anchor="middle"))
    front: list[tuple[str, float, float]] = []
    for point in sorted(named, key=lambda it: (it[1], -it[2])):
        if not front or point[2] > front[-1][2]:
            front.append(point)
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(x, y) for _, x, y in front))
    parts.append(Markup('<path class="line s0" d="{}"/>').format(path))
    for name, x, y in named:
        dot = Markup('<circle class="s{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>')
        said = f"{name}: {figure(x)} {x_label}, {y_label} {figure(y)}"
        parts.append(dot.format(0 if (name, x, y) in front else 1, *place(x, y), said))
    written: list[tuple[float, float, float]] = []  # from, to, y
    for name, x, y in sorted(named if len(named) <= MOST_NAMED else front, key=lambda it: -it[2]):
        px, py = place(x, y)
        end = px + 8 + 5.5 * len(_short(name, 16))
        while any(px < right and begin < end and abs(py - b) < 11 for begin, right, b in written):  # below the name that is there
            py += 2
        if py <= height - bottom:
            written.append((px, end, py))
            parts.append(_text(px + 6, py + 3.5, _short(name, 16), "dim over"))
    return _svg(width, height, parts, "chart", f"{y_label} over {x_label} of {', '.join(name for name, *_ in named)}")


def histogram(
    borders: Sequence[float], counts: dict[str, Sequence[int]], x_label: str, log: bool = False, mark: float | None = None
) -> Markup:
    """Outlines of histograms over the same bins, each as shares of its own rows.

    Args:
        borders: of the bins, one more than there are bins.
        counts: name -> rows in each bin.
        log: bins grow with their numbers, so the axis does.
        mark: where a line stands, such as a target.
    """
    width, height, left, right, top, bottom = 340, 200, 46, 18, 10, 34
    shares = {name: [n / max(sum(row), 1) for n in row] for name, row in counts.items()}
    ticks = nice(0, max((share for row in shares.values() for share in row), default=0) or 1)
    scale = (lambda v: math.log10(max(v, 1e-9))) if log else float
    x0, x1 = scale(borders[0]), scale(borders[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (scale(x) - x0) / ((x1 - x0) or 1) * (width - left - right), top + (1 - y / ticks[-1]) * (height - top - bottom)

    parts = []
    for tick in ticks:
        y = place(borders[0], tick)[1]
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(left, y, width - right))
        parts.append(_text(left - 6, y + 3.5, f"{tick:.0%}" if ticks[1] >= 0.01 else f"{tick:.1%}", "dim", anchor="end"))
    if mark is not None:
        x = place(mark, 0)[0]
        parts.append(
            Markup('<path class="target" d="M{:.1f} {}V{}"><title>{}</title></path>').format(x, top, height - bottom, figure(mark))
        )
    marks = [10.0**power for power in range(math.ceil(x0), math.floor(x1) + 1)] if log else nice(borders[0], borders[-1])
    if log and len(marks) < 2:
        marks = [borders[0], borders[-1]]
    for value in marks:
        if borders[0] <= value <= borders[-1]:
            parts.append(_text(place(value, 0)[0], height - bottom + 15, figure(value), "dim", anchor="middle"))
    parts.append(_text((left + width - right) / 2, height - 4, x_label, "dim", anchor="middle"))
    for i, (name, row) in enumerate(shares.items()):
        path = f"M{place(borders[0], 0)[0]:.1f} {place(borders[0], 0)[1]:.1f}"
        for start, end, share in zip(borders, borders[1:], row, strict=False):
            path += f"V{place(start, share)[1]:.1f}H{place(end, share)[0]:.1f}"
        parts.append(
            Markup('<path class="area s{}" d="{}V{:.1f}"><title>{}</title></path>').format(i % 6, path, place(borders[0], 0)[1], name)
        )
    return _svg(width, height, parts, "chart", f"distribution of {x_label}: " + ", ".join(counts))


def interval(value: float, low: float | None, high: float | None, span: tuple[float, float]) -> Markup:
    """A dot at the value and a bar over its interval, on an axis that the rows of a table share."""
    width, height = 130, 16
    start, end = span

    def x(v: float) -> float:
        return 6 + (v - start) / (end - start) * (width - 12)

    parts = [Markup('<path class="grid" d="M6 8H{}"/>').format(width - 6)]
    if low is not None and high is not None:
        parts.append(Markup('<path class="range" d="M{:.1f} 8H{:.1f}"/>').format(x(low), x(high)))
    parts.append(Markup('<circle class="dot" cx="{:.1f}" cy="8" r="3.5"/>').format(x(value)))
    said = figure(value) + (f", 95 % interval {figure(low)} to {figure(high)}" if low is not None and high is not None else "")
    return _svg(width, height, [Markup("<title>{}</title>").format(said), *parts], "interval", said)


def scatter(places: np.ndarray, classes: Sequence[str]) -> Markup:
    """A dot a row, (n, 2), in its class's colour; each class is named in the midst of its own, up to CLASSES_NAMED of them.

    The axes are not drawn: they have no unit.
    """
    side, edge = 340, 8
    low = places.min(axis=0)
    at = edge + (places - low) / max(float((places.max(axis=0) - low).max()), 1e-9) * (side - 2 * edge)
    parts, names, of = [], sorted(set(classes)), np.array(classes)
    for i, name in enumerate(names):
        # a line of no length with round ends is a dot, in a tenth of a circle's bytes
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in at[of == name].tolist())
        parts.append(Markup('<path class="dots d{}" d="{}"><title>{}</title></path>').format(i % COLOURS_OF_DOTS, dots, name))
    for name in names[:CLASSES_NAMED]:
        x, y = np.median(at[of == name], axis=0).tolist()
        parts.append(_text(x, y + 4, _short(name, 16), "class", anchor="middle"))
    return _svg(side, side, parts, "chart", f"map of {len(at)} items of {len(names)} classes")


def strip(images: np.ndarray, low: float, high: float) -> str:
    """The address of a PNG that holds images side by side, a clear pixel between two.

    Args:
        images: (n, height, width, 1 or 3); values of `low` are black, of `high` white or full colour.
    """
    n, height, width, _ = images.shape
    shades = np.clip((images - low) / max(high - low, 1e-30) * 255 + 0.5, 0, 255).astype(np.uint8)
    cells = np.zeros((height, n, width + 1, 4), np.uint8)
    cells[:, :, :width, :3] = shades.transpose(1, 0, 2, 3)
    cells[:, :, :width, 3] = 255
    lines = cells.reshape(height, -1, 4)[:, :-1]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", lines.shape[1], height, 8, 6, 0, 0, 0)  # 8 bits of red, green, blue and alpha
    pixels = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines), 9)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


def heat_map(labels: Sequence[str], cells: dict[tuple[int, int], int], totals: Sequence[int] | None = None) -> Markup:
    """A confusion matrix: actual classes downwards, predicted ones to the right; a shade is a share of its row.

    Args:
        totals: documents of each actual class, where the cells are not all of them.
    """
    n = len(labels)
    size = max(9, min(44, 640 // max(n, 1)))
    font = min(12, size)
    longest = min(24, max(len(label) for label in labels))
    left, top = 20 + longest * font * 0.58, 20 + longest * font * 0.58
    total = totals or [sum(count for (i, _), count in cells.items() if i == row) for row in range(n)]
    parts = [
        Markup('<rect class="empty" x="{:.0f}" y="{:.0f}" width="{}" height="{}"/>').format(left, top, n * size, n * size),
        _text(left + n * size / 2, 11, "predicted", "dim", anchor="middle"),
        Markup('<g transform="translate(11 {:.0f}) rotate(-90)">{}</g>').format(
            top + n * size / 2, _text(0, 0, "actual", "dim", anchor="middle")
        ),
    ]
    for i, label in enumerate(labels):
        middle = i * size + size / 2 + font * 0.33
        parts.append(_text(left - 5, top + middle, _short(label, 24), "label", anchor="end", font=font))
        parts.append(
            Markup('<g transform="translate({:.1f} {:.1f}) rotate(-90)">{}</g>').format(
                left + middle, top - 5, _text(0, 0, _short(label, 24), "label", font=font)
            )
        )
    for (i, j), count in cells.items():
        share = count / total[i]
        title = f"{count} of {total[i]} documents of {labels[i]} ({share:.0%}) were taken for {labels[j]}"
        parts.append(
            Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{}" fill-opacity="{:.2f}"><title>{}</title></rect>').format(
                "hit" if i == j else "miss", left + j * size + 0.5, top + i * size + 0.5, size - 1, size - 1, 0.12 + 0.88 * share, title
            )
        )
        if size >= 26:
            tone = "count on" if share > 0.5 else "count"
            parts.append(_text(left + j * size + size / 2, top + i * size + size / 2 + 4, f"{count}", tone, anchor="middle", font=11))
    return _svg(left + n * size + 4, top + n * size + 4, parts, "heat", "confusion matrix")


def curves(curve: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """One chart per quantity: loss with valid_loss, accuracy with valid_accuracy, over the first column."""
    names = list(dict.fromkeys(name for step in curve for name in step))
    x, quantities = names[0], {}
    for name in names[1:]:
        quantities.setdefault(name.removeprefix("valid_"), []).append(name)
    made = []
    for quantity, columns in quantities.items():
        series = {name: [(step[x], step[name]) for step in curve if x in step and name in step] for name in columns}
        series = {name: line for name, line in series.items() if line}
        if series:
            made.append({"quantity": quantity, "names": list(series), "picture": lines(series, x)})
    return made


def confusions(cells: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Per classifier: the matrix as a picture, and what is mistaken most."""
    found = []
    for of in dict.fromkeys(cell["of"] for cell in cells):
        mine = [cell for cell in cells if cell["of"] == of]
        labels = sorted({cell["actual"] for cell in mine} | {cell["predicted"] for cell in mine})
        place = {label: i for i, label in enumerate(labels)}
        matrix = {(place[cell["actual"]], place[cell["predicted"]]): int(cell["count"]) for cell in mine}
        wrong = sorted((cell for cell in mine if cell["actual"] != cell["predicted"]), key=lambda cell: -int(cell["count"]))
        drawn = labels if len(labels) <= MOST_CLASSES else _most_mistaken(labels, wrong)
        kept = {label: i for i, label in enumerate(drawn)}
        total = dict.fromkeys(drawn, 0)
        for cell in mine:
            if cell["actual"] in kept:
                total[cell["actual"]] += int(cell["count"])
        inside = {(kept[labels[i]], kept[labels[j]]): n for (i, j), n in matrix.items() if labels[i] in kept and labels[j] in kept}
        found.append({
            "of": of, "picture": heat_map(drawn, inside, list(total.values())), "wrong": wrong[:8] if len(labels) > 2 else [],
            "n_classes": len(labels), "n_drawn": len(drawn), "n": sum(matrix.values()),
        })  # fmt: skip
    return found


def _most_mistaken(labels: Sequence[str], wrong: Sequence[dict[str, str]]) -> list[str]:
    """MOST_CLASSES labels, those of the most mistakes, sorted."""
    mistakes = dict.fromkeys(labels, 0)
    for cell in wrong:
        for label in (cell["actual"], cell["predicted"]):
            mistakes[label] += int(cell["count"])
    return sorted(sorted(labels, key=lambda label: (-mistakes[label], label))[:MOST_CLASSES])


def image(pictures: Sequence[tuple[str, Sequence[str], Markup]]) -> str:
    """An SVG file of charts one below the other, for where the page's style sheet is not.

    Args:
        pictures: title, names of the lines (none without a legend), chart.
    """
    scale, parts, y = 2, [], 12.0
    sizes = [[float(number) for number in SIZE.findall(chart)[0]] for _, _, chart in pictures]
    width = max(size[0] for size in sizes) * scale + 40
    for (title, names, chart), (w, h) in zip(pictures, sizes, strict=True):
        parts.append(_text(20, y + 20, title, "title"))
        x = 20.0
        for i, name in enumerate(names):
            parts.append(Markup('<rect class="key s{}" x="{:.0f}" y="{:.0f}" width="18" height="4"/>').format(i % 6, x, y + 38))
            parts.append(_text(x + 24, y + 44, name, "named"))
            x += 46 + 11 * len(name)
        y += 58 if names else 34
        parts.append(
            Markup('<svg x="20" y="{:.0f}" width="{:.0f}" height="{:.0f}" viewBox="0 0 {:.0f} {:.0f}">{}</svg>').format(
                y, w * scale, h * scale, w, h, Markup(chart)
            )
        )
        y += h * scale + 16
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}"><style>{2}</style>'
        '<rect width="100%" height="100%" fill="#fff"/>{3}</svg>'
    ).format(width, y, Markup(STYLE), Markup("").join(parts))


SIZE = re.compile(r'^<svg class="\w+" width="(\d+)" height="(\d+)"')
COLOURS = ("#2563a8", "#d9822b", "#1a8f7a", "#a6428f", "#8a7a18", "#5b6472")  # of the report's light scheme
STYLE = """
text { fill: #1d2430; font: 11px system-ui, sans-serif } .title { font-size: 20px; font-weight: 600 } .named { font-size: 17px; fill: #667085 }
.dim { fill: #667085; font-size: 10.5px } .over { paint-order: stroke; stroke: #fff; stroke-width: 3px } .grid { stroke: #dfe3ea; fill: none } .unseen { opacity: 0 }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.empty { fill: #f1f4f8 } .hit { fill: #1a7f4b } .miss { fill: #c0392b } .on { fill: #fff }
""" + " ".join(f".line.s{i} {{ stroke: {c} }} circle.s{i}, .key.s{i} {{ fill: {c} }}" for i, c in enumerate(COLOURS))


def figure(value: float | None) -> str:
    """A number with as many digits as a reader needs."""
    if value is None:
        return ""
    size = abs(value)
    if value == int(value) and size >= 10:
        return f"{value:,.0f}"
    for above, form in ((1000, ",.0f"), (100, ".1f"), (10, ".2f"), (0.001, ".3f")):
        if size >= above:
            return f"{value:{form}}"
    return f"{value:.1g}" if value else "0"


def nice(low: float, high: float, n: int = 4) -> list[float]:
    """About `n` round numbers, the first at or below `low`, the last at or above `high`."""
    raw = (high - low) / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start", font: float | None = None) -> Markup:
    size = Markup(' font-size="{:g}"').format(font) if font else ""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>').format(kind, x, y, anchor, size, text)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _svg(width: float, height: float, parts: Iterable[Markup], kind: str, label: str) -> Markup:
    return Markup('<svg class="{}" width="{:.0f}" height="{:.0f}" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        kind, width, height, width, height, label, Markup("").join(parts)
    )
