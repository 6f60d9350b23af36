"""The faults of dev/drill, and what has to be seen of each."""
import json, os, re, shutil, signal, subprocess, sys, tempfile, time, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import ORDER_AVSC, ORDER_SQL, ROOT, Scene, free_port, get, until

# A drill cannot wait for hours: in the rules time runs so much faster. Every `for`, every range, and thresholds in seconds are
# divided by it; nothing else is changed.
FASTER = 30
IN_SECONDS = {"PgspineStalled", "PgspineWalExhaustedSoon"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
begun = time.monotonic()


def say(text, indent=2):
    print(f"{time.monotonic() - begun:6.1f} s {' ' * indent}{text}", flush=True)


def shortened(rules):
    def seconds(m):
        return f"{max(1, int(m[1]) * UNITS[m[2]] // FASTER)}s"

    for group in rules["groups"]:
        for r in group["rules"]:
            r["for"] = re.sub(r"(\d+)([smhd])", lambda m: "0s" if m[1] == "0" else seconds(m), r["for"])
            r["expr"] = re.sub(r"\[([^]]*)\]", lambda m: re.sub(r"(\d+)([smhd])", seconds, m[0]), r["expr"])
            if r["alert"] in IN_SECONDS:
                r["expr"] = re.sub(r"(\d+) # threshold", lambda m: f"{int(m[1]) / FASTER:g} # threshold", r["expr"])
    return rules


class Prometheus:
    def __init__(self, folder, targets):
        import yaml
        os.makedirs(folder)
        rules = shortened(yaml.safe_load(open(f"{ROOT}/helm/pgspine/files/rules.yaml")))
        self.rules = {r["alert"]: r for g in rules["groups"] for r in g["rules"]}
        json.dump(rules, open(f"{folder}/rules.yaml", "w"))
        json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}, "rule_files": ["rules.yaml"],
                   "scrape_configs": [{"job_name": "pgspine", "static_configs": [{"targets": targets}]}]}, open(f"{folder}/prometheus.yaml", "w"))
        self.port = free_port()
        self.log = open(f"{folder}/log", "w")
        self.child = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data",
                                       f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until("Prometheus is ready", lambda: get(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200, 60)

    def firing(self):
        """Alert → its annotations and labels."""
        code, body = get(f"http://127.0.0.1:{self.port}/api/v1/alerts")
        if code != 200:
            raise SystemExit(f"Prometheus answered {code} {body}")
        return {a["labels"]["alertname"]: a for a in json.loads(body)["data"]["alerts"] if a["state"] == "firing"}

    def value(self, query):
        code, body = get(f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query}))
        result = json.loads(body)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.child.terminate()
        self.child.wait(20)


class Drill:
    def __init__(self):
        # Inside the tree only if it is short: the control socket's path has a limit of 108 bytes.
        self.folder = tempfile.mkdtemp(prefix="pgspine-drill-")
        self.services("up")
        env = dict(re.findall(r"export (\w+)='?([^'\n]*)", self.services("env")))
        self.scene = Scene(f"{self.folder}/project", "drill", env["PGSPINE_TEST_POSTGRES"], env["PGSPINE_TEST_KAFKA"], env["PGSPINE_TEST_REGISTRY"])
        os.makedirs(self.scene.folder)
        self.ports = free_port(), free_port()
        self.scene.make()
        self.bridge = self.scene.run("state", self.ports[0])
        self.bridge.streaming()
        self.prometheus = Prometheus(f"{self.folder}/prometheus", [f"127.0.0.1:{p}" for p in self.ports])
        say(f"a bridge streams, Prometheus scrapes it; in the rules time runs {FASTER} times as fast", 0)
        self.customer = 20

    def services(self, *arguments):
        done = subprocess.run([f"{ROOT}/dev/services", "--dir", f"{self.folder}/services", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stdout

    def end(self):
        self.prometheus.stop()
        for i in self.scene.started:
            i.stop()
        self.services("down")
        shutil.rmtree(self.folder)

    def write(self):
        self.scene.sql(f"UPDATE orders SET total = total + 1 WHERE id % 10 = 1; UPDATE customer SET name = name || '.' WHERE id = {self.customer}")

    def churn(self, megabytes):
        """WAL that is of no business to the bridge."""
        self.scene.sql(f"CREATE TABLE IF NOT EXISTS churn (t text); INSERT INTO churn SELECT repeat(md5(i::text), 32) FROM generate_series(1, {megabytes * 950}) i; TRUNCATE churn")

    def wrong(self, what):
        firing = sorted(self.prometheus.firing())
        raise SystemExit(f"{what}\nfiring: {firing}\nstatus: {json.dumps(self.bridge.status(), indent=1)[:3000]}\nlog: {open(self.bridge.log).read()[-2000:]}\nkept: {self.folder}")

    def seen(self, instance, must, may=(), words=(), state=None, check=None, limit=120):
        """All of `must` fire, nothing beyond `may` does; /status and `pgspine status` say `words`; each alert has its page."""
        end = time.monotonic() + limit
        while not set(must) <= set(self.prometheus.firing()):
            if time.monotonic() > end:
                self.wrong(f"not firing within {limit} s: {set(must) - set(self.prometheus.firing())}")
            time.sleep(0.2)
        firing = self.prometheus.firing()
        beyond = set(firing) - set(must) - set(may)
        if beyond:
            self.wrong(f"nobody expected {beyond}")
        for name in sorted(firing):
            a = firing[name]
            page = f"{ROOT}/docs/runbooks/{os.path.basename(a['annotations']['runbook_url'])}"
            if not os.path.exists(page) or not open(page).read().startswith(f"# {name}\n"):
                self.wrong(f"{name} has no page {page}")
            say(f"alert    {name} ({a['labels']['severity']}): {a['annotations']['summary']}")
        status = instance.status()
        if state and status.get("state") not in state:
            self.wrong(f"/status: {status.get('state')}, not {state}")
        if instance.metric("pgspine_state", state=status["state"]) != 1:
            self.wrong(f"/metrics and /status differ about the state: {status['state']}")
        code, shown = instance.pgspine("status")
        if code:
            self.wrong(f"pgspine status: exit {code}: {shown}")
        problem = status.get("problem") or {}
        for word in words:
            if word not in json.dumps(status):
                self.wrong(f"/status does not say {word!r}")
            if word not in shown:
                self.wrong(f"`pgspine status` does not say {word!r}:\n{shown}")
        say(f"state    {status['state']}" + (f"; {problem['code']}: {problem['message']}" if problem else ""))
        verdict = status.get("verdict")
        if verdict:
            if verdict["level"] not in ("warning", "critical"):
                self.wrong(f"verdict: {verdict}")
            # Asked for a moment later, ages differ.
            def ageless(text):
                return re.sub(r"\d+(\.\d+)? (ms|s|min|h|d)\b", "AGE", re.sub(r"(\d+ (d|h|min) )+(?=\d)", "", text))
            if ageless(verdict["text"]) not in ageless(shown):
                self.wrong(f"`pgspine status` says another verdict:\n{shown}")
            # The page that the verdict names is that of an alert which fires.
            if verdict["runbook"] and verdict["runbook"].removesuffix(".md") not in firing:
                self.wrong(f"the verdict names {verdict['runbook']}, which does not fire")
            say(f"verdict  {verdict['level']}: {verdict['text']}")
            failing = {c["name"] for c in status["checks"] if c["state"] in ("warning", "critical")}
            if check and check not in failing:
                self.wrong(f"check {check} is well, failing are {failing}")
            say(f"checks   {', '.join(sorted(failing))}")
        return status

    def well(self, instance, limit=180):
        instance.streaming(limit)
        end = time.monotonic() + limit
        while True:
            # The latency is that of the newest transaction: a new one says that what was late is over.
            self.write()
            status, firing = instance.status(), self.prometheus.firing()
            if not firing and not status["problem"] and (status.get("verdict") or {}).get("level", "ok") in ("ok", "notice"):
                break
            if time.monotonic() > end:
                self.wrong(f"it is well, and this goes on: {sorted(firing)} {status['problem']} {status.get('verdict')}")
            time.sleep(0.5)
        say("healed   it streams, nothing fires" + (f"; verdict {status['verdict']['level']}: {status['verdict']['text']}" if status.get("verdict") else ""))

    # ---- the faults

    def kafka(self):
        """Kafka is stopped"""
        self.services("kill", "kafka")
        self.write()
        self.seen(self.bridge, ["PgspineNotStreaming", "PgspineSlotInactive"], ["PgspineKafkaAborts"], ["PGS5"], ["starting", "waiting_slot"], "kafka")
        say("remedy   Kafka is started again, as PgspineNotStreaming says; the bridge is left alone")
        self.services("up", "kafka")
        self.well(self.bridge)

    def wal(self):
        """The slot is filled to its limit"""
        self.scene.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '160MB'", "postgres")
        self.scene.sql("SELECT pg_reload_conf()", "postgres")
        until("the limit is known", lambda: self.bridge.metric("pgspine_slot_safe_wal_bytes"), 30)
        code, shown = self.bridge.pgspine("pause")
        if code:
            self.wrong(shown)
        self.write()
        say("the bridge is paused, max_slot_wal_keep_size is 160 MB, others write 10 MB a second")
        until("nine tenths are used", lambda: self.churn(10) or time.sleep(0.7) or (self.prometheus.value(
            "pgspine_slot_safe_wal_bytes / (pgspine_slot_safe_wal_bytes + pgspine_slot_retained_wal_bytes)") or 1) < 0.15, 120)
        while not {"PgspineWalBudgetLow", "PgspineStalled"} <= set(self.prometheus.firing()):
            self.churn(1)
            time.sleep(0.5)
            if (self.bridge.metric("pgspine_slot_safe_wal_bytes") or 0) < 3 << 20:
                break
        self.seen(self.bridge, ["PgspineWalBudgetLow", "PgspineStalled"], ["PgspineWalExhaustedSoon"], [], ["paused"], "wal_budget")
        say("nobody looks, others go on")
        until("the slot is unreserved", lambda: self.churn(10) or self.bridge.metric("pgspine_slot_wal_status", status="unreserved"), 60)
        self.seen(self.bridge, ["PgspineSlotUnreserved"], ["PgspineWalBudgetLow", "PgspineStalled", "PgspineWalExhaustedSoon"], ["unreserved"], ["paused"], "slot")
        say("remedy   as PgspineSlotUnreserved says: the limit is raised, and the slot is reserved again at once")
        self.scene.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'", "postgres")
        self.scene.sql("SELECT pg_reload_conf()", "postgres")
        until("the slot is reserved", lambda: self.bridge.metric("pgspine_slot_wal_status", status="unreserved") == 0, 30)
        self.scene.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '160MB'", "postgres")
        self.scene.sql("SELECT pg_reload_conf()", "postgres")
        say("the limit is set back too early, and a checkpoint comes")
        self.scene.sql("CHECKPOINT", "postgres")
        late = ["PgspineSlotUnreserved", "PgspineWalBudgetLow", "PgspineStalled", "PgspineWalExhaustedSoon", "PgspineSlotInactive"]
        self.seen(self.bridge, ["PgspineSlotLost"], late, ["lost"], ["paused"], "slot")
        code, shown = self.bridge.pgspine("resume")
        if code:
            self.wrong(shown)
        say("the bridge is resumed: too late")
        status = self.seen(self.bridge, ["PgspineSlotLost", "PgspineNotStreaming"], late, ["PGS8002"], ["failed"], "slot")
        word = re.search(r"gap:[0-9A-F]+/[0-9A-F]+", json.dumps(status["problem"]))[0]
        say(f"remedy   as PgspineSlotLost says: a restart with --approve {word}")
        self.scene.sql("ALTER SYSTEM RESET max_slot_wal_keep_size", "postgres")
        self.scene.sql("SELECT pg_reload_conf()", "postgres")
        self.restart("--approve", word, code=5)
        self.well(self.bridge)

    def column(self):
        """A used column is dropped"""
        self.scene.sql("ALTER TABLE customer DROP COLUMN phone")
        self.write()
        self.seen(self.bridge, ["PgspineSchemaDrift", "PgspineNotStreaming"], [], ["phone"], ["failed"], "schema")
        code, shown = self.bridge.pgspine("check", "--live")
        if code != 1 or "phone" not in shown:
            self.wrong(f"check --live: {code}\n{shown}")
        say("remedy   as PgspineSchemaDrift says: SQL and contract without the column, `check --live`, a restart")
        with open(f"{self.scene.folder}/transforms/order.sql", "w") as f:
            f.write((ORDER_SQL % self.scene.bridge).replace(", c.phone", ""))
        with open(f"{self.scene.folder}/transforms/order.avsc", "w") as f:
            json.dump({**ORDER_AVSC, "fields": [x for x in ORDER_AVSC["fields"] if x["name"] != "phone"]}, f)
        code, shown = self.bridge.pgspine("check", "--live")
        if code:
            self.wrong(f"check --live: {code}\n{shown}")
        self.restart(code=6)
        self.well(self.bridge)

    def second(self):
        """A second instance is started"""
        other = self.scene.run("second", self.ports[1])
        other.streaming()
        self.seen(self.bridge, ["PgspineFenced"], [], ["PGS5"], ["failed"], "kafka")
        self.write()
        say("remedy   as PgspineFenced says: the copy is ended, then the right one is restarted")
        other.stop()
        self.restart(code=4)
        self.well(self.bridge)

    def restart(self, *arguments, code=0):
        ended = self.bridge.stop()
        if ended != code:
            self.wrong(f"the process ended with {ended}, not {code}")
        if code:
            say(f"         (told to end, the process leaves with {code})")
        self.bridge = self.scene.run("state", self.ports[0], arguments)

    def exact(self):
        """Compares the topic with its SELECT: a reconcile finds nothing to write."""
        before = self.bridge.metric("pgspine_records_total")
        self.restart("--reconcile", "order")
        self.bridge.streaming()
        until("the reconcile is over", lambda: self.bridge.metric("pgspine_transform_state", state="live") == 1)
        written = self.bridge.metric("pgspine_records_total")
        if written:
            self.wrong(f"a reconcile wrote {written} records: the topic was not what the SELECT says")
        if not self.bridge.metric("pgspine_records_suppressed_total") and not self.bridge.metric("pgspine_transform_evaluations_total"):
            self.wrong("the reconcile compared nothing")
        say(f"after {before:.0f} records of the last process: a reconcile finds no difference between topic and SELECT", 0)


def main(wanted):
    drill, faults = Drill(), ["kafka", "wal", "column", "second"]
    if set(wanted) - set(faults):
        raise SystemExit(f"the faults are {', '.join(faults)}")
    try:
        until("Prometheus has scraped it", lambda: drill.prometheus.value('pgspine_state{state="streaming"}') == 1)
        drill.write()
        drill.well(drill.bridge)
        for fault in wanted or faults:
            method = getattr(drill, fault)
            say(f"{method.__doc__}", 0)
            method()
        drill.exact()
    except BaseException:
        # What runs is ended, what was written stays for a look.
        drill.prometheus.stop()
        for i in drill.scene.started:
            i.stop(signal.SIGKILL)
        drill.services("down")
        raise
    drill.end()
    say("all agreed", 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1:])
