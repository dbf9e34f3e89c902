"""Charts as SVG: small, without a library, and readable on light and dark pages."""

import math
from xml.sax.saxutils import escape

COLOURS = {"waxwing": "#c2410c", "ejabberd": "#2563eb", "prosody": "#15803d", "floor": "#6b7280"}
NAMES = {"waxwing": "Waxwing", "ejabberd": "ejabberd", "prosody": "Prosody", "floor": "the floor"}
WIDTH, ROW, LEFT, RIGHT = 860, 16, 420, 80


def bars(title, groups):
    """One bar for each server in each group, as long as its share of the most; groups are (label, {server: value}, unit)."""
    groups = [(label, {name: value for name, value in values.items() if value}, unit) for label, values, unit in groups]
    groups = [group for group in groups if len(group[1]) > 1]
    lines, y = [], 40
    for label, values, unit in groups:
        most = max(values.values())
        middle = y + len(values) * ROW / 2 + 4
        lines.append(_text(LEFT - 10, middle, f"{label} ({unit})", "end"))
        for name, value in values.items():
            width = max(2, value / most * (WIDTH - LEFT - RIGHT))
            lines.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.0f}" height="{ROW - 3}" fill="{COLOURS[name]}"/>'
                + _text(LEFT + width + 5, y + ROW - 5, number(value))
            )
            y += ROW
        y += 10
    return _page(title, lines, y)


def lines(title, series, label_x, label_y):
    """One line for each server; series are {server: [(x, y)]}, both on a logarithmic scale."""
    points = [point for line in series.values() for point in line]
    if not points:
        return _page(title, [], 60)
    xs, ys = [math.log10(x) for x, _ in points], [math.log10(y) for _, y in points]
    low_x, high_x, low_y, high_y = min(xs), max(max(xs), min(xs) + 1), math.floor(min(ys)), math.ceil(max(ys))
    left, top, right, bottom = 70, 40, WIDTH - 40, 300

    def place(x, y):
        across = (math.log10(x) - low_x) / (high_x - low_x)
        up = (math.log10(y) - low_y) / max(1, high_y - low_y)
        return left + across * (right - left), bottom - up * (bottom - top)

    drawn = []
    for power in range(low_y, high_y + 1):
        _, y = place(10**low_x, 10**power)
        drawn.append(f'<line x1="{left}" y1="{y:.0f}" x2="{right}" y2="{y:.0f}" stroke="#9ca3af" stroke-width="0.5"/>')
        drawn.append(_text(left - 8, y + 4, number(10**power), "end"))
    for x in sorted({x for x, _ in points}):
        drawn.append(_text(place(x, 10**low_y)[0], bottom + 16, number(x), "middle"))
    drawn.append(_text((left + right) / 2, bottom + 34, label_x, "middle"))
    drawn.append(_text(left, top - 6, label_y))
    for name, line in series.items():
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in (place(*point) for point in line))
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        for x, y in (place(*point) for point in line):
            drawn.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{COLOURS[name]}"/>')
    return _page(title, drawn, bottom + 44)


def number(value):
    """As people write it."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _text(x, y, text, anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


def _page(title, body, height):
    legend = "".join(
        f'<rect x="{300 + place * 110}" y="{height + 2}" width="10" height="10" fill="{COLOURS[name]}"/>'
        + _text(315 + place * 110, height + 11, NAMES[name])
        for place, name in enumerate(COLOURS)
    )
    style = "text{font:12px sans-serif;fill:#6b7280}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 24:.0f}" role="img">\n'
        f"<title>{escape(title)}</title><style>{style}</style>\n{_text(12, 20, title)}\n"
        + "\n".join(body)
        + f"\n{legend}\n</svg>\n"
    )
