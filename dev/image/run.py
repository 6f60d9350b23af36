"""The image, run as the chart says, against real PostgreSQL, Kafka and registry. Started by dev/image/test.

    run.py --image ARCHIVE --again ARCHIVE --helm HELM

`--again` is a second build of the same binary. Each check is a function below; the first failure ends the run and shows the log
of the container.
"""
import argparse, json, os, re, secrets, shutil, signal, ssl, stat, subprocess, sys, tempfile, time

import confluent_kafka.admin, psycopg

from network import Loopback
from pod import Image, Pod, objects_of
from scene import Postgres, TlsFront, Topic, free_port, render, wait_for

LIMIT = 60 * 2**20
ORDER_SQL = """/* pgspine
topic = "%s"
key   = ["order_id"]
*/
SELECT
  o.id AS order_id, upper(o.status) AS status, o.total,
  o.placed_at AT TIME ZONE 'UTC' AS placed_at,
  c.name AS customer,
  ARRAY(SELECT jsonb_build_object('no', l.no, 'sku', l.sku) FROM shop.lines AS l WHERE l.order_id = o.id ORDER BY l.no) AS lines
FROM shop.orders AS o
JOIN shop.customers AS c ON c.id = o.customer_id
WHERE o.status <> 'draft';
"""
ORDER_AVSC = {"type": "record", "name": "Order", "namespace": "shop.v1", "fields": [
    {"name": "order_id", "type": "long"}, {"name": "status", "type": "string"},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "placed_at", "type": {"type": "long", "logicalType": "local-timestamp-micros"}}, {"name": "customer", "type": "string"},
    {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
        {"name": "no", "type": "int"}, {"name": "sku", "type": "string"}]}}}]}
TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, status text NOT NULL, total numeric(12, 2) NOT NULL, placed_at timestamptz NOT NULL);
CREATE TABLE shop.lines (order_id bigint NOT NULL, no int NOT NULL, sku text NOT NULL, PRIMARY KEY (order_id, no));
INSERT INTO shop.customers SELECT i, 'customer ' || i FROM generate_series(1, 20) i;
INSERT INTO shop.orders SELECT i, 1 + i % 20, CASE WHEN i % 7 = 0 THEN 'draft' ELSE 'placed' END, i * 1.25, timestamptz '2026-01-01 00:00:00Z' + i * interval '1 s' FROM generate_series(1, 300) i;
INSERT INTO shop.lines SELECT i, n, 'sku ' || i || '-' || n FROM generate_series(1, 300) i, generate_series(1, 2) n;
"""


class World:
    """Services, names, and one pod's worth of volumes; everything of it is gone at the end."""

    def __init__(self, given):
        self.helm = given.helm
        self.folder = tempfile.mkdtemp(prefix="pgspine-image-")
        self.image = Image(given.image, os.path.join(self.folder, "image"))
        self.bridge = f"image{os.getpid()}"
        self.topic = f"shop.order.{self.bridge}"
        self.kafka, self.registry = os.environ["PGSPINE_TEST_KAFKA"], os.environ["PGSPINE_TEST_REGISTRY"]
        self.network = Loopback(self.bridge)
        self.postgres = Postgres()
        self.password = secrets.token_hex(8)
        with self.postgres.connect() as c:
            c.execute(f"CREATE ROLE pgspine LOGIN REPLICATION PASSWORD '{self.password}'")
            c.execute("CREATE DATABASE shop OWNER pgspine")
        self.sql = psycopg.connect(host="127.0.0.1", port=self.postgres.port, user="pgspine", password=self.password, dbname="shop", autocommit=True)
        self.sql.execute(TABLES)
        for port in (self.postgres.port, int(self.kafka.rsplit(":", 1)[1]), int(re.search(r":(\d+)", self.registry[7:]).group(1))):
            self.network.forward(port)
        self.containers, self.next_order = [], 1000

    def values(self, registry=None, **more):
        """The values of a user of the chart."""
        bridge = {
            "config": {"postgres": {"url": f"postgres://pgspine@127.0.0.1:{self.postgres.port}/shop?sslmode=disable"}, "kafka": {"bootstrap_servers": self.kafka},
                       "registry": {"url": registry or self.registry}, "topics": {"partitions": 2}},
            "secrets": {"postgres": {"existingSecret": "shop-postgres"}},
            "transforms": {"inline": {"shop/order.sql": ORDER_SQL % self.topic, "shop/order.avsc": json.dumps(ORDER_AVSC)}}}
        return {"fullnameOverride": "shop", "bridges": {self.bridge: bridge | more}}

    def pod(self, kind="StatefulSet", values=None, claims=None, secrets_=None):
        documents = render(self.helm, values or self.values(), self.folder)
        objects = objects_of(documents)
        objects.secrets["shop-postgres"] = {"password": self.password.encode()}
        objects.secrets |= secrets_ or {}
        objects.claims = claims if claims is not None else {}
        owner = next(d for d in documents if d["kind"] == kind)
        return Pod(owner, objects, self.image, tempfile.mkdtemp(prefix="pod.", dir=self.folder), self.network)

    def start(self, pod, args=None):
        container = pod.container(args=args)
        self.containers.append(container)
        return container.start()

    def once(self, pod, args=None, limit=120):
        """A container that ends by itself: exit code and output."""
        container = self.start(pod, args)
        code = container.wait(limit)
        container.remove()
        return code, container.text()

    def work(self, n):
        """Source transactions: a new order with lines, changes of others, a customer whose name is in many."""
        for _ in range(n):
            i = self.next_order = self.next_order + 1
            with self.sql.transaction():
                self.sql.execute("INSERT INTO shop.orders VALUES (%s, %s, 'placed', %s, '2026-02-01T00:00:00Z')", (i, 1 + i % 20, i * 0.5))
                self.sql.execute("INSERT INTO shop.lines VALUES (%s, 1, 'a'), (%s, 2, 'b')", (i, i))
                self.sql.execute("UPDATE shop.orders SET total = total + 1 WHERE id = %s", (i - 3,))
                if i % 5 == 0:
                    self.sql.execute("DELETE FROM shop.orders WHERE id = %s", (i - 500 if i > 1500 else i % 300,))
                if i % 11 == 0:
                    self.sql.execute("UPDATE shop.customers SET name = name || 'x' WHERE id = %s", (1 + i % 20,))

    def expected(self):
        rows = self.sql.execute((ORDER_SQL % self.topic).split("*/", 1)[1]).fetchall()
        names = [f["name"] for f in ORDER_AVSC["fields"]]
        return {(r[0],): dict(zip(names, r)) for r in rows}

    def same(self, at_least):
        """The topic is the SELECT's answer, once the slot has been told so."""
        end = self.sql.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
        slot = lambda: self.sql.execute("SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots WHERE NOT temporary", (end,)).fetchone()
        wait_for(f"the slot to be confirmed up to {end}", lambda: (slot() or [False])[0])
        expected, got = self.expected(), Topic(self.kafka, self.registry, self.topic).table()
        assert len(expected) >= at_least, len(expected)
        assert got.keys() == expected.keys(), f"{len(got)} keys, expected {len(expected)}; {sorted(got.keys() ^ expected.keys())[:5]}"
        for key, row in expected.items():
            assert got[key] == row, f"{key}: {got[key]} is not {row}"
        return len(expected)

    def close(self):
        for container in self.containers:
            container.remove()
        self.network.close()
        self.sql.close()
        self.postgres.stop()
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.kafka})
        ours = [t for t in admin.list_topics(timeout=20).topics if self.bridge in t]
        for future in admin.delete_topics(ours).values() if ours else ():
            future.exception()
        shutil.rmtree(self.folder, ignore_errors=True)


def ready(container):
    return lambda: (container.probe("readiness") or [0])[0] == 200


# ---- what the image is

def contents(world, given):
    """No shell, nothing setuid, licences and their texts, bundle, time zones, SBOM; small; uid 10001."""
    root, programs, size, names = world.image.root, [], 0, []
    for where, _, files in os.walk(root):
        for name in files:
            path = os.path.join(where, name)
            state = os.lstat(path)
            names.append(path[len(root):])
            if stat.S_ISREG(state.st_mode):
                size += state.st_size
                assert not state.st_mode & (stat.S_ISUID | stat.S_ISGID), f"{path} is setuid"
                assert not state.st_mode & 0o022 and state.st_uid == 0, f"{path} could be changed"
                if state.st_mode & 0o111 and ".so" not in name:
                    programs.append(path[len(root):])
    assert programs == ["/usr/bin/pgspine"], programs
    assert size <= LIMIT, size
    config = world.image.config
    assert (config["User"], config["Entrypoint"], config["Cmd"], config["WorkingDir"]) == ("10001:10001", ["/usr/bin/pgspine"], ["run"], "/etc/pgspine"), config
    version, revision = config["Labels"]["org.opencontainers.image.version"], config["Labels"]["org.opencontainers.image.revision"]
    said = subprocess.run(["chroot", "--userspec=10001:10001", root, "/usr/bin/pgspine", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert said == f"pgspine {version} ({revision})\n" and re.fullmatch("[0-9a-f]{12}", revision), said
    state = os.stat(f"{root}/var/lib/pgspine")
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (10001, 10001, 0o750), state
    for package in os.listdir(f"{root}/var/lib/dpkg/status.d"):
        copyright = f"{root}/usr/share/doc/{package}/copyright"
        text = open(copyright, errors="replace").read()
        for common in re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])", text):
            assert os.path.exists(f"{root}/usr/share/common-licenses/{common}"), f"{package}: {common}"
    assert os.path.getsize(f"{root}/usr/share/zoneinfo/Europe/Prague") > 500
    # Both the path that we read ourselves and the one that librdkafka gets from OpenSSL.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(f"{root}/etc/ssl/certs/ca-certificates.crt")
    certificates = len(context.get_ca_certs())
    assert certificates > 100 and os.readlink(f"{root}/usr/lib/ssl/cert.pem") == "/etc/ssl/certs/ca-certificates.crt"
    parts = bill_of_materials(f"{root}/usr/share/doc/pgspine/sbom.json", root)
    with open(os.path.join(os.path.dirname(given.image), "contents.txt"), "w") as out:
        out.writelines(f"{os.lstat(root + n).st_size:>9} {n}\n" for n in sorted(names))
    return f"{size / 1e6:.1f} MB, {len(names)} files, {parts} parts, {certificates} CAs; compressed {os.path.getsize(given.image) / 1e6:.1f} MB"


def bill_of_materials(path, root):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    import hashlib
    text = open(path).read()
    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    assert not wrong, wrong
    bom = json.loads(text)
    names = {c["name"] for c in bom["components"]}
    assert {"rdkafka", "rustls", "libssl3", "ca-certificates", "rust-std"} <= names and not {"noida-db", "postgres"} & names, names
    digest = hashlib.sha256(open(f"{root}/usr/bin/pgspine", "rb").read()).hexdigest()
    assert bom["metadata"]["component"]["hashes"][0]["content"] == digest
    return len(names)


def reproducible(world, given):
    again = Image(given.again, os.path.join(world.folder, "again"))
    assert again.id == world.image.id, f"{again.id} is not {world.image.id}"
    assert again.manifest == world.image.manifest
    return world.image.id


# ---- what it does as a pod

def check(world, given):
    """The preflight of the chart, as its Job says it; and what it says when the Secret's password is wrong."""
    pod = world.pod("Job")
    code, text = world.once(pod)
    assert code == 0, text
    pod = world.pod("Job", secrets_={"shop-postgres": {"password": b"wrong"}})
    code, wrong = world.once(pod)
    assert code != 0 and "password authentication failed" in wrong, wrong
    return text.strip().splitlines()[-1][:120]


def runs(world, given):
    """The StatefulSet's pod: ready, what the process may do, the records."""
    world.claims = {}
    world.running_pod = world.pod(claims=world.claims)
    world.running = c = world.start(world.running_pod)
    pid = c.pid()
    wait_for("readiness", ready(c))
    assert c.probe("liveness")[0] == 200
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    for line in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[line], 16) == 0, f"{line}: {status[line]}"
    assert (status["NoNewPrivs"], status["Seccomp"], status["Uid"].split()[0], status["Gid"].split()[0], status["Groups"].split()) == ("1", "2", "10001", "10001", ["10001"]), status
    assert status["NSpid"].split()[-1] == "1"
    mounts = {m.split()[4]: m.split()[5].split(",") for m in open(f"/proc/{pid}/mountinfo")}
    assert "ro" in mounts["/"] and "ro" in mounts["/etc/pgspine/transforms"] and "rw" in mounts["/var/lib/pgspine"], mounts
    assert world.network.links() == ["lo"]
    group = next(line.split(":")[2] for line in open(f"/proc/{pid}/cgroup").read().splitlines() if ":memory:" in line or line.startswith("0::"))
    limit = next(p for p in (f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes", f"/sys/fs/cgroup{group}/memory.max") if os.path.exists(p))
    assert int(open(limit).read()) == 2**30, open(limit).read()
    world.work(40)
    rows = world.same(at_least=250)
    return f"{rows} rows equal, {int(status['VmHWM'].split()[0]) // 1024} MiB at most, {status['Threads']} threads"


def asked(world, given):
    """`kubectl exec`: the control socket, from the image's working directory, without a shell."""
    c = world.running
    answer = c.exec("/usr/bin/pgspine", "--json", "status")
    assert answer.returncode == 0 and json.loads(answer.stdout)["bridge"] == world.bridge, answer.stdout
    assert c.exec("/usr/bin/pgspine", "log-level", "debug").returncode == 0
    assert c.exec("/usr/bin/pgspine", "log-level", "info").returncode == 0
    assert c.exec("/bin/sh", "-c", "true").returncode != 0
    return json.loads(answer.stdout)["state"]


def terminated(world, given):
    """SIGTERM to process 1 under load: 0 within the pod's grace, the log says it, nothing is lost."""
    c = world.running
    world.work(60)
    begun = time.monotonic()
    c.kill(signal.SIGTERM)
    code = c.wait(world.running_pod.grace)
    took = time.monotonic() - begun
    lines = [json.loads(line) for line in c.text().splitlines()]
    assert code == 0, c.text()[-3000:]
    c.remove()
    world.running = c = world.start(world.running_pod)
    wait_for("readiness after a restart", ready(c))
    rows = world.same(at_least=300)
    assert took < 11, took
    return f"{took:.2f} s, last word {lines[-1].get('fields', lines[-1]).get('message')!r}; {rows} rows equal after the restart"


def killed(world, given):
    """SIGKILL amid transactions, twice; the volume is as the kill left it."""
    for _ in range(2):
        c = world.running
        world.work(30)
        # The second time it has hardly begun.
        c.pid()
        c.kill(signal.SIGKILL)
        code = c.wait(20)
        assert code == 137, code
        c.remove()
        world.work(10)
        world.running = c = world.start(world.running_pod)
    wait_for("readiness after SIGKILL", ready(c))
    return f"{world.same(at_least=350)} rows equal, no record twice"


def rotated(world, given):
    """A new password in PostgreSQL: the old file is refused, the rotated Secret is taken, without a restart."""
    c, pid, old, new = world.running, world.running.pid(), world.password, secrets.token_hex(8)
    with world.postgres.connect() as admin:
        admin.execute(f"ALTER ROLE pgspine PASSWORD '{new}'")
        end = lambda: admin.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'pgspine' AND application_name <> ''").fetchone()
        end()
        wait_for("the old password to be refused", lambda: "password authentication failed" in c.text())
        wait_for("not ready", lambda: not ready(c)())
        assert c.probe("liveness")[0] == 200, "an unreachable database is no reason for a restart"
        world.password = new
        world.running_pod.objects.secrets["shop-postgres"] = {"password": new.encode()}
        world.running_pod.refresh()
        wait_for("readiness with the new password", ready(c))
    world.sql = psycopg.connect(host="127.0.0.1", port=world.postgres.port, user="pgspine", password=new, dbname="shop", autocommit=True)
    world.work(20)
    rows = world.same(at_least=350)
    assert c.pid() == pid, "it restarted"
    assert old not in c.text() and new not in c.text(), "a password is in the log"
    return f"{rows} rows equal, same process"


def verified(world, given):
    """TLS to the registry is verified against the image's own bundle, or the CA that the chart mounts."""
    folder = tempfile.mkdtemp(dir=world.folder)
    front = TlsFront(folder, int(re.search(r":(\d+)", world.registry[7:]).group(1)))
    world.network.forward(front.port)
    url = f"https://127.0.0.1:{front.port}" + world.registry.split("/", 3)[3].join(["/", ""])
    code, text = world.once(world.pod("Job", world.values(url)))
    assert code != 0 and re.search(r"(?i)unknown ?issuer|certificate", text), text
    ca = open(front.ca, "rb").read()
    mounted = world.pod("Job", world.values(url, tls={"registry": {"existingSecret": "ca"}}), secrets_={"ca": {"ca.crt": ca}})
    code, text = world.once(mounted)
    assert code == 0, text
    # The same CA in the system's bundle, as a company's own base image would have it: no setting at all.
    pod = world.pod("Job", world.values(url))
    container = pod.container()
    with open(f"{container.folder}/rootfs/etc/ssl/certs/ca-certificates.crt", "ab") as bundle:
        bundle.write(b"\n" + ca)
    world.containers.append(container)
    code = container.start().wait(120)
    container.remove()
    assert code == 0, container.text()
    return "refused by the bundle alone; accepted with the CA mounted, or in the bundle"


def refused(world, given):
    """A configuration that cannot be: exit 2 in a plain `run`, and the chart's on_halt does not hide it."""
    pod = world.pod()
    configuration = pod.objects.config_maps[f"shop-{world.bridge}-config"]
    configuration["pgspine.toml"] += b"\nnonsense = 1\n"
    pod.refresh()
    code, text = world.once(pod)
    assert code == 2 and "nonsense" in text, (code, text)
    # A file system that cannot be written: said, not survived by chance. The pod that runs holds the port.
    world.running.remove()
    pod = world.pod()
    volume, folder = pod.volumes["state"]
    os.chmod(folder, 0o555)
    os.chown(folder, 0, 0)
    container = world.start(pod)
    wait_for("a word about the state directory", lambda: re.search(r"(?i)permission denied", container.text()))
    # It stays, so that the slot's keeper can be asked, and leaves its reason where the kubelet looks for it.
    container.kill()
    code = container.wait(60)
    reason = open(container.termination).read()
    container.remove()
    assert code == 2 and "PGS7003" in reason, (code, reason)
    return text.strip().splitlines()[0][:120]


CHECKS = [contents, reproducible, check, runs, asked, terminated, killed, rotated, verified, refused]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--image", required=True)
    arguments.add_argument("--again", required=True)
    arguments.add_argument("--helm", required=True)
    given = arguments.parse_args()
    world = World(given)
    try:
        for one in CHECKS:
            begun = time.monotonic()
            try:
                said = one(world, given)
            except Exception:
                print(f"image: {one.__name__} FAILED: {one.__doc__}", file=sys.stderr)
                for c in world.containers[-1:]:
                    print(f"the end of {c.spec['name']}'s log:\n{c.text()[-4000:]}", file=sys.stderr)
                raise
            print(f"image: {one.__name__:<13} {time.monotonic() - begun:5.1f} s  {said}", flush=True)
    finally:
        world.close()
    print(f"image: {len(CHECKS)} checks passed")


main()
