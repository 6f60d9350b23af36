"""Made-up series, and the alerts that must fire over them: all of them, and no other.

    cases.py RULES OUT    writes OUT, a file for `promtool test rules`

Beside the bridge `shop` that a case is about, every case has two healthy ones: `ledger` in the same namespace, and another
`shop` in the namespace `staging`. A rule that mixes bridges shows at once. A sample stands for a minute; time begins at 0.
"""
import json, sys

M, G = 1 << 20, 1 << 30
STATES = ("starting", "waiting_slot", "snapshot", "streaming", "paused", "draining", "failed")
LONG = 150


def name(metric, labels):
    return metric + "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"


def healthy():
    """Metric and labels → values, of a bridge with 600 transactions a minute."""
    n = LONG
    series = {
        ("pgspine_build_info",): f"1x{n}",
        ("pgspine_slot_active",): f"1x{n}",
        # A checkpoint every 20 minutes lets the slot go forward.
        ("pgspine_slot_safe_wal_bytes",): " ".join(f"{900 * M}-{20 * M}x19" for _ in range(8)),
        ("pgspine_slot_retained_wal_bytes",): " ".join(f"{124 * M}+{20 * M}x19" for _ in range(8)),
        ("pgspine_slot_confirmed_lag_bytes",): " ".join(["1000 90000 20000 400000"] * 40),
        ("pgspine_source_transactions_total",): f"0+600x{n}",
        ("pgspine_received_lsn",): f"{G}+{20 * M}x{n}",
        ("pgspine_emitted_lsn",): f"{G}+{20 * M}x{n}",
        ("pgspine_confirmed_lsn",): f"{G}+{20 * M}x{n}",
        ("pgspine_last_commit_timestamp_seconds",): f"0+60x{n}",
        ("pgspine_fenced_total",): f"0x{n}",
        ("process_start_time_seconds",): f"7x{n}",
        ("pgspine_state_disk_free_bytes",): f"{50 * G}x{n}",
        ("pgspine_quarantined_keys", "transform=shop/order"): f"0x{n}",
        ("pgspine_dead_letter_records_total", "transform=shop/order"): f"0x{n}",
        ("pgspine_reconcile_keys_remaining", "transform=shop/order"): f"0x{n}",
    }
    for state in STATES:
        series["pgspine_state", f"state={state}"] = f"{int(state == 'streaming')}x{n}"
    for status in ("reserved", "extended", "unreserved", "lost"):
        series["pgspine_slot_wal_status", f"status={status}"] = f"{int(status == 'reserved')}x{n}"
    for outcome in ("committed", "aborted", "unknown", "fenced"):
        series["pgspine_kafka_transactions_total", f"outcome={outcome}"] = f"0+{500 * (outcome == 'committed')}x{n}"
    for reason in ("evaluate", "encode", "too_large"):
        series["pgspine_transform_errors_total", "transform=shop/order", f"reason={reason}"] = f"0x{n}"
    for kind in ("column", "type", "table", "contract"):
        series["pgspine_schema_drift", "transform=shop/order", f"kind={kind}"] = f"0x{n}"
    for le, per_minute in (("0.064", 500), ("0.125", 598), ("10", 600), ("30", 600), ("60", 600), ("+Inf", 600)):
        series["pgspine_commit_to_kafka_seconds_bucket", f"le={le}"] = f"0+{per_minute}x{n}"
    return series


def state(*words):
    """The series of `pgspine_state`: (word, minutes) one after the other, the last one for ever."""
    out = {}
    for s in STATES:
        out["pgspine_state", f"state={s}"] = " ".join(f"{int(s == w)}x{minutes - 1}" for w, minutes in words)
    return out


def status(before, minutes, after):
    out = {}
    for s in ("reserved", "extended", "unreserved", "lost"):
        out["pgspine_slot_wal_status", f"status={s}"] = f"{int(s == before)}x{minutes - 1} {int(s == after)}x{LONG}"
    return out


def stale_after(minutes):
    """Nothing is left of any series; the one that the alert looks at was there."""
    return {key: f"1x{minutes - 1} stale" if key == ("pgspine_build_info",) else None for key in healthy()}


ORDER = {"transform": "shop/order"}
behind = {  # the stream takes nothing more from minute 20 on, while the server goes on writing
    ("pgspine_emitted_lsn",): f"{G}+{20 * M}x19 {G + 380 * M}x{LONG}",
    ("pgspine_confirmed_lsn",): f"{G}+{20 * M}x19 {G + 380 * M}x{LONG}",
    ("pgspine_last_commit_timestamp_seconds",): f"0+60x19 1140x{LONG}",
    ("pgspine_source_transactions_total",): f"0+600x19 11400x{LONG}",
    ("pgspine_slot_confirmed_lag_bytes",): f"90000x19 {M}+{M}x{LONG}",
}
quiet = {  # nobody commits anything from minute 20 on
    ("pgspine_last_commit_timestamp_seconds",): f"0+60x19 1140x{LONG}",
    ("pgspine_source_transactions_total",): f"0+600x19 11400x{LONG}",
}

# What a person reads, where a number is put into it: case → minute, alert, summary, description.
WORDS = {
    "a fifth is left": (10, "PgspineWalBudgetLow", "The slot of bridge shop has 19% of its WAL budget left",
                        "Of the WAL that max_slot_wal_keep_size lets the slot of bridge shop retain, 19% is left. At 0 the slot is lost."),
    "held keys": (50, "PgspineQuarantinedKeys", "3 keys of transform shop/order of bridge shop show an old value",
                  "3 keys of transform shop/order are held at their last good value, because their present row cannot become a record."),
    "the volume fills": (25, "PgspineStateDiskLow", "The state volume of bridge shop has 100MiB left",
                         "The volume of state_dir of bridge shop has 100MiB left. When it is full, the bridge waits and PostgreSQL keeps the WAL; "
                         "nothing is lost by that."),
    "it hangs": (40, "PgspineStalled", "Bridge shop falls behind",
                 "The newest source commit of bridge shop that is in Kafka is 21m 0s old, and the distance to the server's end of WAL grows."),
}

# (what happens, series instead of the healthy ones (None: there is none), {minute: alerts}).
# An alert is its name, or (name, its labels beside severity, check, namespace and bridge).
CASES = [
    ("all is well", {}, {1: [], 30: [], 75: [], 140: []}),

    ("it is down", stale_after(30), {29: [], 32: [], 34: ["PgspineDown"], 140: ["PgspineDown"], 1400: ["PgspineDown"], 1480: []}),
    ("a rollout of two minutes", {k: "1x29 stale _ 1x100" if k == ("pgspine_build_info",) else v for k, v in healthy().items()},
     {31: [], 33: [], 36: []}),

    ("it stopped for good", state(("streaming", 30), ("failed", LONG)), {34: [], 36: ["PgspineNotStreaming"], 140: ["PgspineNotStreaming"]}),
    ("it tries again and again", state(("streaming", 30), ("starting", 2), ("waiting_slot", 1), ("starting", LONG)),
     {34: [], 36: ["PgspineNotStreaming"]}),
    ("it tried, and went on", state(("streaming", 30), ("starting", 4), ("streaming", LONG)), {34: [], 36: [], 60: []}),
    ("a long load", {**state(("streaming", 30), ("snapshot", LONG)), ("pgspine_last_commit_timestamp_seconds",): f"0x{LONG}",
                     ("pgspine_emitted_lsn",): f"0x{LONG}", ("pgspine_slot_confirmed_lag_bytes",): f"0+{M}x{LONG}"}, {60: [], 140: []}),
    ("a pause of minutes", state(("streaming", 30), ("paused", 10), ("streaming", LONG)), {36: [], 60: []}),
    ("a reconcile before the stream", {**state(("starting", LONG)),
                                       ("pgspine_reconcile_keys_remaining", "transform=shop/order"): f"100000-500x{LONG}"}, {20: [], 120: []}),
    ("it stopped in the middle of a reconcile",
     {**state(("starting", 30), ("failed", LONG)),
      ("pgspine_reconcile_keys_remaining", "transform=shop/order"): f"100000-500x29 85000x{LONG}"}, {29: [], 45: ["PgspineNotStreaming"]}),
    ("a second instance waits", {("pgspine_state", "state=waiting_slot", "instance=second"): f"1x{LONG}",
                                 ("pgspine_state", "state=streaming", "instance=second"): f"0x{LONG}",
                                 ("pgspine_slot_active", "instance=second"): f"0x{LONG}"}, {60: []}),

    ("nobody reads the slot", {("pgspine_slot_active",): f"1x29 0x{LONG}"}, {38: [], 41: ["PgspineSlotInactive"]}),
    ("a short reconnect", {("pgspine_slot_active",): f"1x29 0x8 1x{LONG}"}, {38: [], 41: []}),

    ("more is retained than promised", status("extended", 30, "unreserved"), {29: [], 30: ["PgspineSlotUnreserved"]}),
    ("it caught up again", status("unreserved", 30, "reserved"), {29: ["PgspineSlotUnreserved"], 31: []}),
    ("the slot is lost", {**status("unreserved", 30, "lost"), ("pgspine_slot_safe_wal_bytes",): f"{M}x29 stale"},
     {31: ["PgspineSlotLost"]}),

    ("a fifth is left", {("pgspine_slot_safe_wal_bytes",): f"{190 * M}x{LONG}", ("pgspine_slot_retained_wal_bytes",): f"{810 * M}x{LONG}"},
     {4: [], 6: ["PgspineWalBudgetLow"]}),
    ("a little more is left", {("pgspine_slot_safe_wal_bytes",): f"{210 * M}x{LONG}", ("pgspine_slot_retained_wal_bytes",): f"{790 * M}x{LONG}"},
     {60: []}),
    ("beyond the limit until the next checkpoint",
     {("pgspine_slot_safe_wal_bytes",): f"-{100 * M}x{LONG}", ("pgspine_slot_retained_wal_bytes",): f"{1100 * M}x{LONG}"},
     {10: ["PgspineWalBudgetLow", "PgspineWalExhaustedSoon"]}),
    ("nothing limits the slot", {("pgspine_slot_safe_wal_bytes",): None, ("pgspine_slot_retained_wal_bytes",): f"{G}+{50 * M}x{LONG}"},
     {60: [], 140: []}),
    ("in less than four hours it is lost",
     {("pgspine_slot_safe_wal_bytes",): f"{490 * M}-{2.1 * M:.0f}x{LONG}", ("pgspine_slot_retained_wal_bytes",): f"{534 * M}+{2.1 * M:.0f}x{LONG}"},
     {4: [], 40: ["PgspineWalExhaustedSoon"]}),
    ("in five hours, that is time enough",
     {("pgspine_slot_safe_wal_bytes",): f"{490 * M}-{1.3 * M:.0f}x{LONG}", ("pgspine_slot_retained_wal_bytes",): f"{534 * M}+{1.3 * M:.0f}x{LONG}"},
     {40: [], 60: []}),
    ("a steep start of a budget that is hardly used",
     {("pgspine_slot_safe_wal_bytes",): f"{1000 * M}-{8 * M}x50 {1000 * M}x{LONG}", ("pgspine_slot_retained_wal_bytes",): f"{24 * M}+{8 * M}x50 {24 * M}x{LONG}"},
     {30: [], 45: [], 75: []}),

    ("it hangs", behind, {24: [], 38: ["PgspineStalled"], 140: ["PgspineStalled"]}),
    ("a pause that was forgotten", {**behind, **state(("streaming", 20), ("paused", LONG))}, {38: ["PgspineStalled"]}),
    ("a pause, and others write a lot", {**behind, **state(("streaming", 20), ("paused", LONG)),
                                         ("pgspine_slot_confirmed_lag_bytes",): f"90000x19 {8 * M}+{8 * M}x{LONG}"}, {40: ["PgspineStalled"]}),
    ("it is too slow", {("pgspine_last_commit_timestamp_seconds",): f"0+20x{LONG}", ("pgspine_slot_confirmed_lag_bytes",): f"0+{10 * M}x{LONG}"},
     {5: [], 20: ["PgspineStalled"]}),
    ("it catches up", {("pgspine_last_commit_timestamp_seconds",): f"0+20x20 400+90x{LONG}",
                       ("pgspine_slot_confirmed_lag_bytes",): f"0+{10 * M}x20 {200 * M}-{2 * M}x{LONG}"}, {40: [], 60: []}),
    ("a quiet night", {**quiet, ("pgspine_slot_confirmed_lag_bytes",): " ".join(["1000 90000 20000 400000"] * 40)}, {60: [], 140: []}),

    ("nobody writes at all", {**quiet, ("pgspine_slot_confirmed_lag_bytes",): f"90000x19 0x{LONG}", ("pgspine_slot_retained_wal_bytes",): f"{124 * M}x{LONG}",
                              ("pgspine_slot_safe_wal_bytes",): f"{900 * M}x{LONG}", **{(f"pgspine_{p}_lsn",): f"{G}x{LONG}" for p in ("received", "emitted", "confirmed")}},
     {60: [], 140: []}),

    ("an idle database is not followed",
     {**quiet, ("pgspine_confirmed_lsn",): f"{G}+{20 * M}x19 {G + 380 * M}x{LONG}", ("pgspine_slot_confirmed_lag_bytes",): f"90000x19 {8 * M}+{8 * M}x{LONG}"},
     {28: [], 40: ["PgspineIdleNotAdvancing"]}),
    ("an idle database that writes little",
     {**quiet, ("pgspine_confirmed_lsn",): f"{G}+{20 * M}x19 {G + 380 * M}x{LONG}", ("pgspine_slot_confirmed_lag_bytes",): f"90000x19 {M}+{M}x{LONG}"},
     {40: [], 60: []}),

    ("one in fifty is late", {("pgspine_commit_to_kafka_seconds_bucket", f"le={le}"): f"0+{n}x{LONG}"
                              for le, n in (("0.064", 500), ("0.125", 580), ("10", 588), ("30", 600), ("60", 600), ("+Inf", 600))},
     {14: [], 20: ["PgspineLatencyHigh"]}),
    ("nothing to measure", {("pgspine_commit_to_kafka_seconds_bucket", f"le={le}"): f"5x{LONG}" for le in ("0.064", "0.125", "10", "30", "60", "+Inf")},
     {60: []}),

    ("aborts repeat", {("pgspine_kafka_transactions_total", "outcome=aborted"): f"0x29 1 2 3 4 5x{LONG}"}, {32: [], 35: ["PgspineKafkaAborts"], 60: []}),
    ("outcomes stay unknown", {("pgspine_kafka_transactions_total", "outcome=unknown"): f"0x29 0+1x{LONG}"}, {31: [], 40: ["PgspineKafkaAborts"]}),
    ("one abort", {("pgspine_kafka_transactions_total", "outcome=aborted"): f"0x29 1x{LONG}"}, {32: [], 40: []}),
    ("a restart begins to count anew", {("pgspine_kafka_transactions_total", "outcome=aborted"): f"1000x29 0x{LONG}",
                                        ("pgspine_dead_letter_records_total", "transform=shop/order"): f"500x29 0x{LONG}",
                                        ("pgspine_transform_errors_total", "transform=shop/order", "reason=encode"): f"500x29 0x{LONG}",
                                        ("process_start_time_seconds",): f"7x29 1800x{LONG}"}, {29: [], 31: [], 40: []}),
    ("it was fenced", {("pgspine_fenced_total",): f"0x29 1x{LONG}"}, {29: [], 30: ["PgspineFenced"], 140: ["PgspineFenced"]}),
    ("it was fenced, and started anew", {("pgspine_fenced_total",): f"1x29 0x{LONG}"}, {31: []}),

    ("a dead letter", {("pgspine_dead_letter_records_total", "transform=shop/order"): f"0x29 1x{LONG}"},
     {29: [], 31: [("PgspineDeadLetters", ORDER)], 60: []}),
    ("a row that cannot be encoded", {("pgspine_transform_errors_total", "transform=shop/order", "reason=encode"): f"0x29 1x{LONG}"},
     {29: [], 31: [("PgspineRowErrors", {**ORDER, "reason": "encode"})], 60: []}),
    ("held keys", {("pgspine_quarantined_keys", "transform=shop/order"): f"0x29 3x29 0x{LONG}"},
     {40: [], 46: [("PgspineQuarantinedKeys", ORDER)], 61: []}),
    ("a dropped column", {("pgspine_schema_drift", "transform=shop/order", "kind=column"): f"0x29 1x29 0x{LONG}"},
     {29: [], 30: [("PgspineSchemaDrift", {**ORDER, "kind": "column"})], 61: []}),

    ("the volume fills", {("pgspine_state_disk_free_bytes",): f"{2 * G}-{100 * M}x15 {100 * M}x{LONG}"}, {10: [], 20: ["PgspineStateDiskLow"]}),
    ("the volume is full", {("pgspine_state_disk_free_bytes",): f"{2 * G}x9 0x{LONG}"}, {20: ["PgspineStateDiskLow"]}),
    ("it has not looked yet", {("pgspine_state_disk_free_bytes",): f"0x{LONG}", ("pgspine_received_lsn",): f"0x{LONG}"}, {20: []}),

    ("it dies again and again", {("process_start_time_seconds",): f"7x10 700x4 1000x4 1300x4 1600x4 1900x{LONG}"},
     {20: [], 40: ["PgspineRestarts"], 140: []}),
    ("it comes back as another pod", {("process_start_time_seconds", "instance=a"): "700x4 stale", ("process_start_time_seconds", "instance=b"): "_x5 1000x4 stale",
                                      ("process_start_time_seconds", "instance=c"): "_x10 1300x4 stale", ("process_start_time_seconds", "instance=d"): "_x15 1600x4 stale",
                                      ("process_start_time_seconds", "instance=e"): f"_x20 1900x{LONG}"}, {12: [], 40: ["PgspineRestarts"]}),
    ("three restarts", {("process_start_time_seconds",): f"7x10 700x4 1000x4 1300x{LONG}"}, {40: []}),
    ("another program has a label bridge", {("process_start_time_seconds", "job=other"): None}, {40: []}),
]


def main(rules_path, out_path):
    import yaml
    rules = {r["alert"]: r for g in yaml.safe_load(open(rules_path))["groups"] for r in g["rules"]}
    tests, fired = [], set()
    for what, changed, at in CASES:
        series = []
        for namespace, bridge in (("prod", "shop"), ("prod", "ledger"), ("staging", "shop")):
            mine = healthy()
            if (namespace, bridge) == ("prod", "shop"):
                mine.update(changed)
            for (metric, *labels), values in mine.items():
                if values is not None:
                    labels = {"namespace": namespace, "bridge": bridge, **dict(l.split("=") for l in labels)}
                    series.append({"series": name(metric, labels), "values": values})
        if what == "another program has a label bridge":
            series.append({"series": name("process_start_time_seconds", {"namespace": "prod", "bridge": "howrah"}), "values": f"0+60x{LONG}"})
        checks = []
        for minute, alerts in at.items():
            samples = []
            for alert in alerts:
                alert, labels = (alert, {}) if isinstance(alert, str) else alert
                fired.add(alert)
                labels = {"alertname": alert, "namespace": "prod", "bridge": "shop", **rules[alert]["labels"], **labels}
                samples.append({"labels": name("", labels), "value": 1})
            # The healthy ones end with their series; only what is about shop is asked then.
            only = ',namespace="prod",bridge="shop"' if minute > LONG else ""
            checks.append({"expr": 'sum without (alertstate) (ALERTS{alertstate="firing"%s})' % only, "eval_time": f"{minute}m", "exp_samples": samples})
        tests.append({"name": what, "interval": "1m", "input_series": series, "promql_expr_test": checks})
        if what in WORDS:
            minute, alert, summary, description = WORDS[what]
            labels = {"namespace": "prod", "bridge": "shop", **rules[alert]["labels"]}
            labels |= ORDER if alert == "PgspineQuarantinedKeys" else {}
            url = f"https://github.com/pgspine/pgspine/blob/main/docs/runbooks/{alert}.md"
            tests[-1]["alert_rule_test"] = [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": [
                {"exp_labels": labels, "exp_annotations": {"summary": summary, "description": description, "runbook_url": url}}]}]
    silent = set(rules) - fired
    if silent:
        sys.exit(f"no case lets these fire: {', '.join(sorted(silent))}")
    json.dump({"rule_files": [rules_path], "evaluation_interval": "1m", "tests": tests}, open(out_path, "w"), indent=1)
    print(f"{len(tests)} cases, {sum(len(t['promql_expr_test']) for t in tests)} moments, {len(rules)} alerts", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
