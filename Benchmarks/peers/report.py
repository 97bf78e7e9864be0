"""From the figures of compare.py: queries a second at a recall, ratios, tables and the plot."""
import math
import statistics

TARGETS = [0.95, 0.99]
OURS = "springg"

# What Springg is to reach, by name of the set: (what, at least or at most, bound).
REAL = ("wordnet-minilm", "fixtures")
SPEED_GOALS = {
    "wordnet-minilm": {0.95: 4.5, 0.99: 5.5},
    "realistic": {0.95: 4.0, 0.99: 4.0},
}
SQ8_GOAL = 2.5
THREADS_GOAL = 1.8
BUILD_GOAL = 0.4
MEMORY_GOAL = 1.45


def rate_at(points, target, number):
    """Queries a second at a recall in one round; None when the recall was not reached.

    Between two values of ef the logarithm of the rate goes in a straight line with the recall.
    """
    for place, point in enumerate(points):
        if point["recall"] < target:
            continue
        if place == 0 or point["recall"] == target:
            return point["qps"][number]
        before = points[place - 1]
        part = (target - before["recall"]) / (point["recall"] - before["recall"])
        low, high = math.log(before["qps"][number]), math.log(point["qps"][number])
        return math.exp(low + part * (high - low))
    return None


def rates_at(library, threads, target):
    points = library["points"][str(threads)]
    rounds = len(points[0]["qps"]) if points else 0
    rates = [rate_at(points, target, number) for number in range(rounds)]
    return None if not rates or None in rates else rates


def ratio(ours, theirs):
    """Median, lowest and highest of the ratios of the rounds."""
    if not ours or not theirs:
        return None
    ratios = [a / b for a, b in zip(ours, theirs)]
    return {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def library_of(figures, name):
    return next((each for each in figures["libraries"] if each["name"] == name), None)


def number(value):
    return "–" if value is None else f"{value:,.0f}"


def times(value):
    return "–" if value is None else f"{value['median']:.2f}"


def spread(value):
    return "" if value is None else f"{value['lowest']:.2f} to {value['highest']:.2f}"


HEAD = [
    "library", "build 1 thread, s", "build 2 threads, s", "memory / floats", "0.95: /s", "× hnswlib", "0.99: /s", "× hnswlib",
    "0.95, 2 threads: /s", "× one thread",
]


def rows(figures):
    """The table of one set, a list of cells a library."""
    base = library_of(figures, "hnswlib")
    floats = figures["rows"] * figures["dimensions"] * 4
    table = []
    for library in figures["libraries"]:
        cells = [library["name"]]
        for threads in ["1", "2"]:
            seconds = library["build_seconds"].get(threads)
            cells.append("–" if seconds is None else f"{seconds:.1f}")
        cells.append(f"{library['bytes'] / floats:.2f}")
        for target in TARGETS:
            rates = rates_at(library, 1, target)
            cells.append(number(statistics.median(rates) if rates else None))
            cells.append(times(ratio(rates, base and rates_at(base, 1, target))))
        one, two = rates_at(library, 1, 0.95), rates_at(library, 2, 0.95)
        cells.append(number(statistics.median(two) if two else None))
        cells.append(times(ratio(two, one)))
        table.append(cells)
    return table


def goals(figures):
    """Lines of (what, figure, range, goal, whether it is met) for Springg as it comes."""
    ours = library_of(figures, OURS)
    if not ours:
        return []
    lines = []

    def judge(what, value, bound, at_least=True):
        if value is None:
            return
        median = value["median"]
        met = median >= bound if at_least else median <= bound
        lines.append((what, median, spread(value), f"{'≥' if at_least else '≤'} {bound}", met))

    def single(value):
        return {"median": value, "lowest": value, "highest": value}

    for target in TARGETS:
        for name, bound in [
            ("hnswlib", SPEED_GOALS.get(figures["name"], {}).get(target)),
            ("faiss SQ8", SQ8_GOAL if figures["name"] != "hard" else None),
        ]:
            peer = library_of(figures, name)
            if peer and bound:
                value = ratio(rates_at(ours, 1, target), rates_at(peer, 1, target))
                judge(f"queries a second at recall {target} / those of {name}", value, bound)
    if figures["name"] == "hard":
        return lines
    judge("queries a second at recall 0.95, two threads / one", ratio(rates_at(ours, 2, 0.95), rates_at(ours, 1, 0.95)), THREADS_GOAL)
    peer = library_of(figures, "hnswlib")
    if peer and "2" in ours["build_seconds"]:
        judge("build, two threads / that of hnswlib", single(ours["build_seconds"]["2"] / peer["build_seconds"]["2"]), BUILD_GOAL, False)
    if figures["dimensions"] >= 1024:
        judge("memory / float rows", single(ours["bytes"] / figures["rows"] / figures["dimensions"] / 4), MEMORY_GOAL, False)
    return lines


def title(figures):
    return f"{figures['name']}: {figures['rows']:,} × {figures['dimensions']:,} ({figures['recipe']}), {figures['queries']:,} queries, {figures['rounds']} rounds"


def text(all_figures):
    lines = []
    for figures in all_figures["sets"]:
        table = [HEAD] + rows(figures)
        widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
        lines += ["", title(figures)]
        for row in table:
            lines.append("  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths))))
        for what, value, span, bound, met in goals(figures):
            lines.append(f"  {what:<62} {value:6.2f}  ({span})  {bound:<7} {'met' if met else 'NOT MET'}")
        lines.append(f"  others used {figures.get('others_cpu_seconds', 0)} s of processor time meanwhile")
    return "\n".join(lines)


def markdown(all_figures):
    machine = all_figures["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines = [
        "# Graph search beside other libraries: the figures",
        "",
        f"Measured by `make bench-peers` on {machine['date']}: {machine['cores']} cores of {machine['processor']}; {packages}; "
        f"M = {machine['M']}, efConstruction = {machine['ef_construction']}. [Benchmarks](../benchmarks.md) says what the columns mean.",
    ]
    for figures in all_figures["sets"]:
        lines += ["", f"## {title(figures)}", "", "| " + " | ".join(HEAD) + " |", "| --- " + "| ---: " * (len(HEAD) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows(figures)]
        judged = goals(figures)
        if judged:
            lines += ["", "| goal | measured | lowest and highest round | wanted | |", "| --- | ---: | --- | --- | --- |"]
            lines += [f"| {what} | {value:.2f} | {span} | {bound} | {'met' if met else 'not met'} |" for what, value, span, bound, met in judged]
        lines += ["", f"Other programs used {figures.get('others_cpu_seconds', 0)} s of processor time meanwhile."]
    return "\n".join(lines) + "\n"


# The plot.

# Ours in one strong colour, quantizations by dashes; the others apart for every kind of colour vision (Okabe and Ito).
STYLES = {
    "springg": ("#d55e00", "", 3.2), "springg none": ("#d55e00", "2 4", 1.8), "springg int8": ("#d55e00", "8 4", 1.8),
    "springg int4": ("#d55e00", "12 3 2 3", 1.8), "springg int1": ("#d55e00", "2 2", 1.8),
    "hnswlib": ("#0072b2", "", 2), "usearch f32": ("#009e73", "", 2), "usearch i8": ("#009e73", "6 4", 2),
    "faiss flat": ("#7f5aa2", "", 2), "faiss SQ8": ("#7f5aa2", "6 4", 2),
}
PANEL_WIDTH, PANEL_HEIGHT = 620, 400
LEFT, TOP, BOTTOM, GAP = 74, 60, 56, 26
HEAD_HEIGHT = 64
RECALLS = [0.85, 0.90, 0.95, 0.98, 0.99, 0.995, 0.998]
FONT = "font-family='Helvetica, Arial, sans-serif'"


def across(recall):
    """Equal ratios of what is missed take equal room: from 0.9 to 0.99 is as far as from 0.99 to 0.999."""
    return -math.log10(1 - min(recall, 0.9999))


def plot(all_figures):
    sets = [figures for figures in all_figures["sets"] if any(library["points"].get("1") for library in figures["libraries"])]
    names = list(dict.fromkeys(library["name"] for figures in sets for library in figures["libraries"]))
    columns = min(2, max(1, len(sets)))
    lines = math.ceil(len(sets) / columns)
    # The legend takes the place that an odd number of panels leaves, or a strip below them.
    beside = len(sets) % columns > 0
    legend_height = 0 if beside else 26 * math.ceil(len(names) / (5 if columns == 2 else 3)) + 16
    width, height = columns * PANEL_WIDTH, HEAD_HEIGHT + lines * PANEL_HEIGHT + legend_height
    machine = all_figures["machine"]
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}' {FONT} font-size='13'>",
        f"<rect width='{width}' height='{height}' fill='white'/>",
        "<text x='24' y='34' font-size='19' font-weight='bold' fill='#222'>Recall against queries a second, one thread</text>",
        f"<text x='24' y='55' fill='#666'>Higher and further right is better. M = {machine['M']}, efConstruction = "
        f"{machine['ef_construction']}; each line is a sweep of ef.</text>",
    ]
    for place, figures in enumerate(sets):
        out.append(f"<g transform='translate({place % columns * PANEL_WIDTH},{HEAD_HEIGHT + place // columns * PANEL_HEIGHT})'>")
        out += panel(figures)
        out.append("</g>")
    if beside:
        out += legend(names, PANEL_WIDTH + LEFT, HEAD_HEIGHT + (lines - 1) * PANEL_HEIGHT + TOP + 16, PANEL_WIDTH - LEFT, 2)
    else:
        out += legend(names, 28, HEAD_HEIGHT + lines * PANEL_HEIGHT + 16, width - 40, 5 if columns == 2 else 3)
    out.append("</svg>")
    return "\n".join(out) + "\n"


def legend(names, left, top, width, columns):
    out = []
    for place, name in enumerate(names):
        colour, dash, weight = STYLES.get(name, ("#555", "1 3", 1.5))
        x, y = left + place % columns * width / columns, top + place // columns * 26
        out.append(f"<line x1='{x:.0f}' y1='{y}' x2='{x + 40:.0f}' y2='{y}' stroke='{colour}' stroke-width='{weight}' stroke-dasharray='{dash}'/>")
        bold = " font-weight='bold'" if name == OURS else ""
        out.append(f"<text x='{x + 48:.0f}' y='{y + 4}' fill='#222'{bold}>{name}</text>")
    return out


def panel(figures):
    low, high = across(RECALLS[0]), across(RECALLS[-1])
    curves = []
    for library in figures["libraries"]:
        points = [(p["recall"], statistics.median(p["qps"])) for p in library["points"]["1"] if p["qps"]]
        if points:
            curves.append((library["name"], points))
    rates = [rate for _, points in curves for _, rate in points]
    bottom, top = nice(min(rates), -1), nice(max(rates), +1)
    inner_width, inner_height = PANEL_WIDTH - LEFT - GAP, PANEL_HEIGHT - TOP - BOTTOM

    def x(recall):
        return LEFT + (across(recall) - low) / (high - low) * inner_width

    def y(rate):
        return TOP + (math.log(top) - math.log(rate)) / (math.log(top) - math.log(bottom)) * inner_height

    out = [
        f"<text x='{LEFT}' y='{TOP - 26}' font-size='15' font-weight='bold' fill='#222'>{figures['name']}</text>",
        f"<text x='{LEFT}' y='{TOP - 9}' fill='#666'>{figures['rows']:,} × {figures['dimensions']:,}, {figures['recipe']}</text>",
    ]
    for recall in RECALLS:
        strong = recall in TARGETS
        out.append(
            f"<line x1='{x(recall):.1f}' y1='{TOP}' x2='{x(recall):.1f}' y2='{TOP + inner_height}' "
            f"stroke='{'#999' if strong else '#e4e4e4'}' stroke-dasharray='{'3 3' if strong else ''}'/>"
        )
        bold = " font-weight='bold'" if strong else ""
        out.append(f"<text x='{x(recall):.1f}' y='{TOP + inner_height + 18}' text-anchor='middle' fill='#444'{bold}>{recall:g}</text>")
    for rate in ticks(bottom, top):
        out.append(f"<line x1='{LEFT}' y1='{y(rate):.1f}' x2='{LEFT + inner_width}' y2='{y(rate):.1f}' stroke='#e4e4e4'/>")
        out.append(f"<text x='{LEFT - 8}' y='{y(rate) + 4:.1f}' text-anchor='end' fill='#444'>{rate:,.0f}</text>")
    out.append(f"<rect x='{LEFT}' y='{TOP}' width='{inner_width}' height='{inner_height}' fill='none' stroke='#888'/>")
    out.append(f"<text x='{LEFT + inner_width / 2:.0f}' y='{TOP + inner_height + 40}' text-anchor='middle' fill='#222'>recall@10</text>")
    out.append(
        f"<text transform='translate(18,{TOP + inner_height / 2:.0f}) rotate(-90)' text-anchor='middle' fill='#222'>queries a second</text>"
    )
    clip = f"clip-{figures['name']}"
    out.append(f"<clipPath id='{clip}'><rect x='{LEFT}' y='{TOP}' width='{inner_width}' height='{inner_height}'/></clipPath>")
    # Ours last, so that it lies on top.
    for name, points in sorted(curves, key=lambda curve: curve[0].startswith(OURS)):
        colour, dash, weight = STYLES.get(name, ("#555", "1 3", 1.5))
        path = " ".join(f"{x(recall):.1f},{y(rate):.1f}" for recall, rate in points)
        out.append(f"<g clip-path='url(#{clip})'>")
        out.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{weight}' stroke-dasharray='{dash}' stroke-linejoin='round'/>")
        for recall, rate in points:
            out.append(f"<circle cx='{x(recall):.1f}' cy='{y(rate):.1f}' r='{2.6 if name == OURS else 2}' fill='{colour}'/>")
        out.append("</g>")
    return out


def nice(value, direction):
    """The next of 1, 2, 5 times a power of ten, downwards or upwards."""
    power = 10 ** math.floor(math.log10(value))
    steps = [power * step for step in (1, 2, 5, 10)]
    return max(step for step in steps if step <= value) if direction < 0 else min(step for step in steps if step >= value)


def ticks(bottom, top):
    found, power = [], 10 ** math.floor(math.log10(bottom))
    while power <= top:
        found += [power * step for step in (1, 2, 5) if bottom <= power * step <= top]
        power *= 10
    return found
