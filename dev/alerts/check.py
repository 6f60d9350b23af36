"""Rules, dashboard and runbooks against what a running bridge serves.

    check.py RULES DASHBOARD RUNBOOKS SCRAPE

Every expression parses; every metric and every label that is asked for is in the scrape; the dashboard is whole; each alert has
its page and each page its alert.
"""
import json, os, re, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import ROOT, parse

# Labels that a scrape adds.
TARGET = {"namespace", "pod", "instance", "job"}
# The one metric that is absent by right: nothing limits the slot. Its name stands beside all others in the source.
ABSENT = {"pgspine_slot_safe_wal_bytes"}
WORDS = {"by", "on", "without", "ignoring", "and", "or", "unless", "group_left", "group_right", "bool", "offset", "inf", "nan"}
CHECKS = {"source", "kafka", "slot", "wal_budget", "progress", "latency", "transforms", "dead_letters", "schema", "state_disk"}
SECTIONS = ("## What it means", "## Impact", "## Diagnosis", "## Remedy", "## What not to do")
problems = []


def wrong(where, what):
    problems.append(f"{where}: {what}")


def expressions(dashboard):
    """(where, expression, legend)."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']!r} {target['refId']}", target["expr"], target.get("legendFormat", "")
    for a in dashboard["annotations"]["list"]:
        if "expr" in a:
            yield f"annotation {a['name']!r}", a["expr"], a.get("titleFormat", "")
    for v in dashboard["templating"]["list"]:
        m = re.fullmatch(r"label_values\((.+), (\w+)\)", v.get("definition", ""))
        if m:
            yield f"variable {v['name']}", m[1], "{{%s}}" % m[2]
        elif v["type"] == "query":
            wrong(f"variable {v['name']}", f"not understood: {v.get('definition')!r}")


def plain(expression):
    for name, value in (("$__rate_interval", "5m"), ("$__range", "3h"), ("$namespace", ".*"), ("$bridge", ".*")):
        expression = expression.replace(name, value)
    return expression


def parses(all_expressions):
    """By Prometheus' own parser, one rule for each, so that an error names its place."""
    rules = [{"record": f"check:expression:{i}", "expr": plain(e)} for i, (_, e, _) in enumerate(all_expressions)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        json.dump({"groups": [{"name": "g", "rules": rules}]}, f)
        f.flush()
        done = subprocess.run(["promtool", "check", "rules", f.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        for line in done.stdout.splitlines():
            m = re.search(r"rule (\d+), .*", line)
            if m:
                wrong(all_expressions[int(m[1]) - 1][0], line.strip())
        if not problems:
            wrong("promtool", done.stdout)


def names(where, expression, legend, labels_of):
    """Metrics and labels of one expression, against the scrape."""
    bare = re.sub(r"#.*", "", plain(expression))
    used, known = [], set(TARGET)
    for m in re.finditer(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?", bare):
        metric, selector = m[1], m[2] or ""
        if not (metric.startswith(("pgspine_", "process_")) or metric == "ALERTS" or selector):
            continue
        have = labels_of.get(metric)
        if have is None:
            wrong(where, f"no metric {metric} in the scrape")
            continue
        used.append(metric)
        known |= have
        for label in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector):
            if label not in have | TARGET:
                wrong(where, f"{metric} has no label {label}")
    if not used:
        wrong(where, "asks for no metric")
    grouped = [set(re.findall(r"\w+", g)) for g in re.findall(r"\b(?:by|on|group_left|without|ignoring)\s*\(([^)]*)\)", bare)]
    for label in set().union(*grouped) - known if grouped else ():
        wrong(where, f"groups by {label}, which none of {used} has")
    by = [set(re.findall(r"\w+", g)) for g in re.findall(r"\bby\s*\(([^)]*)\)", bare)]
    shown = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    for label in shown - (set().union(*by) if by else known):
        wrong(where, f"shows {{{{{label}}}}}, which the result does not have")


def whole(d):
    for key in ("uid", "title", "schemaVersion", "panels", "templating"):
        if not d.get(key):
            wrong("dashboard", f"no {key}")
    ids = [p["id"] for p in d["panels"]]
    if len(set(ids)) != len(ids):
        wrong("dashboard", "panel ids are not unique")
    taken = {}
    for p in d["panels"]:
        g = p["gridPos"]
        if g["x"] < 0 or g["x"] + g["w"] > 24:
            wrong(p["title"], "beyond the grid's 24 columns")
        for x in range(g["x"], g["x"] + g["w"]):
            for y in range(g["y"], g["y"] + g["h"]):
                other = taken.setdefault((x, y), p["title"])
                if other != p["title"]:
                    wrong(p["title"], f"overlaps {other!r}")
                    break
        if p["type"] != "row":
            refs = [t["refId"] for t in p["targets"]]
            if len(set(refs)) != len(refs) or not refs:
                wrong(p["title"], f"refIds {refs}")
            for t in [p, *p["targets"]]:
                if t.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
                    wrong(p["title"], "not the datasource of the variable")
    titles = [p["title"] for p in d["panels"]]
    for twice in {t for t in titles if titles.count(t) > 1}:
        wrong("dashboard", f"two panels {twice!r}")
    variables = {v["name"] for v in d["templating"]["list"]} | {"__rate_interval", "__range"}
    for used in set(re.findall(r"\$\{?(\w+)", json.dumps(d))) - variables:
        if used not in ("__all",):
            wrong("dashboard", f"uses ${used}, which is no variable")


def main(rules_path, dashboard_path, runbooks, scrape_path):
    import yaml
    rules = [r for g in yaml.safe_load(open(rules_path))["groups"] for r in g["rules"]]
    dashboard = json.load(open(dashboard_path))
    labels_of = {"ALERTS": {"alertname", "alertstate", "severity", "check", "namespace", "bridge", "transform"}}
    text = open(scrape_path).read()
    for metric, labels, _ in parse(text):
        labels_of.setdefault(metric, set()).update(labels)
    source = open(os.path.join(ROOT, "src/metrics/family.rs")).read()
    for metric in ABSENT:
        if f'"{metric.removeprefix("pgspine_")}" []' not in source:
            wrong(metric, "is not in src/metrics/family.rs")
        labels_of.setdefault(metric, {"bridge"})
    whole(dashboard)
    asked = list(expressions(dashboard))
    parses(asked)
    for where, expression, legend in asked:
        names(where, expression, legend, labels_of)

    for r in rules:
        name, words = r["alert"], r["annotations"]
        names(name, r["expr"], "", labels_of)
        by = set().union(*(re.findall(r"\w+", g) for g in re.findall(r"\bby\s*\(([^)]*)\)", r["expr"])))
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(words)):
            if label not in by:
                wrong(name, f"shows {label}, which the result does not have")
        if not {"namespace", "bridge"} <= by:
            wrong(name, "is not by namespace and bridge")
        if r["labels"].get("severity") not in ("page", "ticket"):
            wrong(name, f"severity {r['labels'].get('severity')}")
        if r["labels"].get("check", "slot") not in CHECKS:
            wrong(name, f"check {r['labels']['check']}")
        if r["expr"].count("# threshold") != len(re.findall(r"(?<![\w.])[0-9.]+ # threshold$", r["expr"], re.M)) or r["expr"].count("# threshold") > 1:
            wrong(name, "a threshold is one number, followed by the mark, at the end of a line")
        if "for" not in r:
            wrong(name, "no for")
        if words["runbook_url"] != f"https://github.com/pgspine/pgspine/blob/main/docs/runbooks/{name}.md":
            wrong(name, f"runbook_url {words['runbook_url']}")
        page = os.path.join(runbooks, f"{name}.md")
        if not os.path.exists(page):
            wrong(name, "has no runbook")
            continue
        page = open(page).read()
        if not page.startswith(f"# {name}\n"):
            wrong(name, "its runbook has another title")
        for s in SECTIONS:
            if f"\n{s}\n" not in page:
                wrong(name, f"its runbook has no {s!r}")
        if "```" not in page:
            wrong(name, "its runbook has no command")
    pages = {f.removesuffix(".md") for f in os.listdir(runbooks)} - {"README"}
    for page in pages - {r["alert"] for r in rules}:
        wrong(page, "is a runbook without an alert")
    unused = {m for m in labels_of if m.startswith("pgspine_")} - set(re.findall(r"pgspine_\w+", open(dashboard_path).read()))
    unused = {u for u in unused if not any(u == b + s for b in ("pgspine_kafka_transaction_seconds", "pgspine_kafka_transaction_records", "pgspine_commit_to_kafka_seconds") for s in ("_bucket", "_sum", "_count"))}
    if unused:
        wrong("dashboard", f"does not show {sorted(unused)}")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(asked)} expressions of the dashboard, {len(dashboard['panels'])} panels, {len(rules)} alerts with runbooks, {len(labels_of)} metrics in the scrape: in order")


if __name__ == "__main__":
    main(*sys.argv[1:])
