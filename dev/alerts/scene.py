"""A running bridge over real services, for the checks and the drill: database, project, process, what it serves.

Services are found by PGSPINE_TEST_POSTGRES, _KAFKA and _REGISTRY; the program is target/debug/pgspine or $PGSPINE.
"""
import json, os, re, shutil, signal, socket, subprocess, time, urllib.error, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("PGSPINE") or os.path.join(ROOT, "target", "debug", "pgspine")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

TABLES = """
CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL, phone text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, status text NOT NULL, total numeric(12,2) NOT NULL);
INSERT INTO customer SELECT i, 'customer ' || i, '0' || i FROM generate_series(1, 20) i;
INSERT INTO orders SELECT i, 1 + i % 20, 'placed', i FROM generate_series(1, 100) i;
"""
ORDER_SQL = """/* pgspine
topic    = "%s.order.v1"
key      = ["order_id"]
owner    = "shop"
on_error = "dead_letter"
*/
SELECT o.id AS order_id, o.status, o.total, c.name AS customer, c.phone
FROM orders AS o
JOIN customer AS c ON c.id = o.customer_id
"""
ORDER_AVSC = {"type": "record", "name": "Order", "namespace": "drill", "fields": [
    {"name": "order_id", "type": "long"},
    {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["placed", "paid"]}},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "customer", "type": "string"},
    {"name": "phone", "type": ["null", "string"], "default": None}]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, probe, limit=60.0):
    """The first answer of `probe` that is not falsy."""
    end = time.monotonic() + limit
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise SystemExit(f"not within {limit:.0f} s: {what}")
        time.sleep(0.1)


def get(url, timeout=5):
    """(status, body); (0, "") while nobody answers."""
    try:
        with direct.open(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except OSError:
        return 0, ""


def parse(text):
    """Samples of a scrape: [(name, labels, value)]."""
    out = []
    for line in text.splitlines():
        m = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$", line)
        if m and not line.startswith("#"):
            out.append((m[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or "")), float(m[3])))
    return out


class Scene:
    def __init__(self, folder, bridge, postgres=None, kafka=None, registry=None):
        self.folder, self.bridge = folder, bridge
        self.postgres = postgres or os.environ["PGSPINE_TEST_POSTGRES"]
        self.kafka = kafka or os.environ["PGSPINE_TEST_KAFKA"]
        self.registry = registry or os.environ["PGSPINE_TEST_REGISTRY"]
        self.database = bridge.replace("-", "_")
        self.slot = "pgspine_" + self.database
        self.started = []

    def sql(self, text, database=None, check=True):
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", f"{self.postgres} dbname={database or self.database}"],
                              input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode:
            raise SystemExit(f"psql: {done.stderr}\n{text}")
        return done.stdout.strip()

    def make(self):
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        self.sql(TABLES)
        os.makedirs(f"{self.folder}/transforms", exist_ok=True)
        with open(f"{self.folder}/transforms/order.sql", "w") as f:
            f.write(ORDER_SQL % self.bridge)
        with open(f"{self.folder}/transforms/order.avsc", "w") as f:
            json.dump(ORDER_AVSC, f, indent=1)

    def config(self, state, port):
        """A configuration of its own for each instance; the project is one."""
        path = f"{self.folder}/{state}.toml"
        with open(path, "w") as f:
            f.write(f"""[bridge]
name = "{self.bridge}"
state_dir = "{state}"
on_halt = "stay"
[postgres]
url = "{self.postgres} dbname={self.database}"
[kafka]
bootstrap_servers = "{self.kafka}"
[registry]
url = "{self.registry}"
[topics]
partitions = 2
[http]
listen = "127.0.0.1:{port}"
""")
        return path

    def run(self, state="state", port=None, arguments=(), environment=None):
        port = port or free_port()
        config = self.config(state, port)
        log = open(f"{self.folder}/{state}.log", "a")
        child = subprocess.Popen([PROGRAM, "-c", config, "run", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env={**os.environ, "PGSPINE_WATCH_SECONDS": "1", **(environment or {})})
        instance = Instance(self, child, port, config, log.name)
        self.started.append(instance)
        return instance

    def drop(self):
        for i in self.started:
            i.stop()
        self.sql(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND NOT active", "postgres", check=False)
        self.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)", "postgres", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Instance:
    def __init__(self, scene, child, port, config, log):
        self.scene, self.child, self.port, self.config, self.log = scene, child, port, config, log

    def get(self, path):
        return get(f"http://127.0.0.1:{self.port}{path}")

    def status(self):
        code, body = self.get("/status")
        return json.loads(body) if code == 200 else {}

    def metrics(self):
        return parse(self.get("/metrics")[1])

    def metric(self, name, **labels):
        """The sum over the series with these labels; None if there is none."""
        found = [v for n, l, v in self.metrics() if n == name and all(l.get(k) == w for k, w in labels.items())]
        return sum(found) if found else None

    def streaming(self, limit=60):
        def is_():
            if self.child.poll() is not None:
                raise SystemExit(f"the bridge ended with {self.child.returncode}:\n{open(self.log).read()[-3000:]}")
            return self.metric("pgspine_state", state="streaming") == 1
        until(f"{self.scene.bridge} streams; see {self.log}", is_, limit)

    def pgspine(self, *arguments):
        done = subprocess.run([PROGRAM, "-c", self.config, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def stop(self, with_=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(with_)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode
