"""The page of the book: the table, what was wanted and whether it was reached, and the method."""

import chart
import results
from scenarios import SAID, SCENARIOS
from servers import HERE, ROOT

PAGE = (ROOT / "docs" / "build" / "against").with_suffix(".md")
CHARTS = ROOT / "docs" / "build" / "against"
PEERS = ("ejabberd", "prosody")
SERVERS = ("waxwing", *PEERS, "floor")
# Of the second table: what is shown, its unit, and by what it is divided.
COLUMNS = (
    ("rate", "", 1),
    ("cores", "", 1),
    ("p50_ms", " ms", 1),
    ("p99_ms", " ms", 1),
    ("peak_kib", " MiB", 1024),
    ("load_us", " µs", 1),
    ("lost", "", 1),
)


def write():
    """Writes the page and its charts from what is known."""
    known = results.load()
    method = (HERE / "method.md").read_text().replace("@SAID@", f"{SAID:,}")
    PAGE.write_text(method.replace("@TABLE@", _table(known)).replace("@MORE@", _more(known)).replace("@RUN@", _run(known)))
    CHARTS.mkdir(exist_ok=True)
    values = [
        (scenario.title, {name: _value(known, scenario, name) for name in SERVERS}, scenario.unit.split(" ")[0])
        for scenario in SCENARIOS
        if not scenario.name.startswith(("growth", "cores"))
    ]
    cost = chart.bars("What a unit of work costs (shorter is better; each row has a scale of its own)", values)
    (CHARTS / "cost.svg").write_text(cost)
    (CHARTS / "growth.svg").write_text(
        chart.lines(
            "Chat while others are there and say nothing", _growth(known), "idle sessions", "µs of CPU per message"
        )
    )


def _value(known, scenario, server):
    return results.median(known, scenario.name, server, scenario.value)


def _growth(known):
    series = {}
    for scenario in SCENARIOS:
        if scenario.name.startswith("growth"):
            for name in SERVERS:
                if value := _value(known, scenario, name):
                    series.setdefault(name, []).append((int(scenario.name.split("-")[1]), value))
    return series


def _table(known):
    lines = [
        "| scenario | unit | Waxwing | ejabberd | Prosody | the floor | to the better peer | wanted | to the floor | wanted | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scenario in SCENARIOS:
        values = {name: _value(known, scenario, name) for name in SERVERS}
        if not any(values.values()):
            continue
        cells = [_cell(known, scenario, name) for name in SERVERS]
        own = values["waxwing"]
        better = min((values[name] for name in PEERS if values[name]), default=None)
        to_peer = own / better if own and better else None
        to_floor = own / values["floor"] if own and values["floor"] else None
        wanted_floor = f"≤ {scenario.to_floor:g}" if scenario.to_floor else ""
        verdicts = [_met(to_peer, scenario.to_peer), _met(to_floor, scenario.to_floor)]
        if scenario.to_own:
            other, most = scenario.to_own
            base = results.median(known, other, "waxwing", "cpu_us")
            ratio = own / base if own and base else None
            wanted_floor = f"{wanted_floor} {_ratio(ratio)} of *{other}*, ≤ {most:g}".strip()
            verdicts.append(_met(ratio, most))
        if scenario.name.startswith("start"):
            # Of Prosody alone: the other takes seconds.
            most = {"start": 0.2, "start-memory": 0.7}[scenario.name]
            to_peer = own / values["prosody"] if own and values["prosody"] else None
            verdicts.append(_met(to_peer, most))
            wanted_peer = f"≤ {most:g} of Prosody's"
        else:
            wanted_peer = f"≤ {scenario.to_peer:g}" if scenario.to_peer else ""
        lines.append(
            f"| {scenario.title} | {scenario.unit} | {' | '.join(cells)} | {_ratio(to_peer)} | {wanted_peer} "
            f"| {_ratio(to_floor)} | {wanted_floor} | {_verdict(verdicts)} |"
        )
    return "\n".join(lines)


def _cell(known, scenario, server):
    value = _value(known, scenario, server)
    if value is None:
        return _why(known, scenario, server)
    least, most = results.spread(known, scenario.name, server, scenario.value)
    text = chart.number(value)
    return text if least == most else f"{text} ({chart.number(least)}–{chart.number(most)})"


def _why(known, scenario, server):
    rounds = known.get(scenario.name, {}).get(server, {}).get("rounds", [])
    return "failed" if rounds else ""


def _ratio(value):
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _met(ratio, most):
    return None if ratio is None or most is None else ratio <= most


def _verdict(verdicts):
    known = [verdict for verdict in verdicts if verdict is not None]
    return "" if not known else "met" if all(known) else "**missed**"


def _more(known):
    lines = [
        "| scenario | server | rounds | per second | cores | p50 | p99 | memory at most | the load's own CPU | lost |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scenario in SCENARIOS:
        for name in SERVERS:
            rounds = known.get(scenario.name, {}).get(name, {}).get("rounds", [])
            if not rounds:
                continue
            if failures := [outcome["failed"] for outcome in rounds if "failed" in outcome]:
                counted = f"{len(rounds)}, {len(failures)} failed"
                lines.append(f"| {scenario.name} | {name} | {counted}: {_plain(failures[0])} ||||||||")
                if len(failures) == len(rounds):
                    continue
            cells = [
                _number(results.median(known, scenario.name, name, key), unit, by) for key, unit, by in COLUMNS
            ]
            lines.append(f"| {scenario.name} | {name} | {len(rounds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(text):
    return " ".join(text.replace("|", "/").split())[:160]


def _number(value, unit, by):
    if value is None:
        return ""
    return "0" if value == 0 else chart.number(value / by) + unit


def _run(known):
    machines, versions, days, busy = set(), {}, set(), []
    for rows in known.values():
        for name, row in rows.items():
            machines.add(row["machine"])
            versions.setdefault(name, set()).add(row["version"])
            days.add(row["day"])
            busy += row["busy"]
    said = [f"{name} {', '.join(sorted(versions[name]))}" for name in SERVERS if name in versions]
    if not days:
        return "Nothing has been measured yet."
    return (
        f"Measured on {' and '.join(sorted(days))}, on {' and '.join(sorted(machines))}: {'; '.join(said)}. The machine was "
        f"not this run's alone: its load average was between {min(busy):g} and {max(busy):g} (a quiet one has about 1 to 2 "
        f"while this runs). Ratios are good to about a fifth, absolute figures to about two fifths."
    )
