"""What was measured, kept in a small file: by scenario and server, with the day and what else the machine did."""

import datetime
import json
import os
import platform
import statistics

from servers import HERE, SERVERS

FILE = HERE / "results.json"


def load():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def merge(scenario, found, load_before):
    """Takes the place of what was known of these servers in this scenario."""
    known = load()
    rows = known.setdefault(scenario.name, {})
    for name, rounds in found.items():
        rows[name] = {
            "day": f"{datetime.date.today()}",
            "version": SERVERS[name].version(),
            "seconds": scenario.seconds,
            "machine": machine(),
            "busy": [round(load_before, 1), round(os.getloadavg()[0], 1)],
            "rounds": [{key: _short(value) for key, value in outcome.items()} for outcome in rounds],
        }
    ordered = {name: known[name] for name in sorted(known)}
    FILE.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


def machine():
    cpu = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = int(next(line.split()[1] for line in open("/proc/meminfo"))) // 1024 // 1024
    return f"{os.cpu_count()} cores ({cpu}), {memory} GiB, Linux {platform.release()}"


def median(known, scenario, server, key):
    """The median of the rounds that succeeded, if there was one."""
    rounds = known.get(scenario, {}).get(server, {}).get("rounds", [])
    values = [outcome[key] for outcome in rounds if "failed" not in outcome and outcome.get(key) is not None]
    return statistics.median(values) if values else None


def spread(known, scenario, server, key):
    """The least and the most of the rounds that succeeded."""
    rounds = known.get(scenario, {}).get(server, {}).get("rounds", [])
    values = [outcome[key] for outcome in rounds if "failed" not in outcome and outcome.get(key) is not None]
    return (min(values), max(values)) if values else None


def _short(value):
    return float(f"{value:.5g}") if isinstance(value, float) else value
