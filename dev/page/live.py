"""The page of the real program, in each state that can be brought about: a bridge of the shipped project over real servers.

The services are those of PGSPINE_TEST_*, or ones of this run's own; Kafka, where it has to go away, always is. Whatever is
made (databases, slots, processes) is taken away at the end.
"""

import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from browser import DESK, PHONE, ROOT, Page, audit, wait
from test import SIGNS, plain, shows

PROGRAM = os.environ.get("PGSPINE_TEST_PROGRAM") or str(ROOT / "target/debug/pgspine")
LIMIT = 120
COUNT = 0


def services(names, folder):
    """dev/services: gives its environment, and takes it down at the end."""
    run = lambda *command: subprocess.run([ROOT / "dev/services", "--dir", folder, *command], check=True, stdout=subprocess.PIPE, text=True).stdout
    out = run("up", *names)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(run, "down")
    return dict(re.findall(r"export (\w+)='?([^'\n]*)'?", out)), run


def environment():
    if "PGSPINE_TEST_POSTGRES" not in os.environ:
        os.environ.update(services([], tempfile.mkdtemp(prefix="pgspine-page-"))[0])
    return tuple(os.environ["PGSPINE_TEST_" + n] for n in ("POSTGRES", "KAFKA", "REGISTRY"))


class Gate:
    """A way to a server that can be closed: then it refuses, and what was open is cut."""

    def __init__(self, host, port):
        self.to = (host, port)
        self.port = None
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port or 0))
        self.port = self.listener.getsockname()[1]
        self.ends = []
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self.to)
            except OSError:
                return
            self.ends += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    @staticmethod
    def carry(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Scene:
    """The shipped project in a folder and a database of its own."""

    def __init__(self, postgres_port=None, kafka=None):
        global COUNT
        COUNT += 1
        self.name = f"page_{os.getpid()}_{COUNT}"
        self.conninfo, own_kafka, registry = environment()
        self.folder = Path(tempfile.mkdtemp(prefix="pgspine-page-"))
        shutil.copytree(ROOT / "transforms", self.folder / "transforms")
        self.psql("CREATE DATABASE " + self.name, database="postgres")
        self.psql((ROOT / "dev/shop.sql").read_text())
        url = f"{self.conninfo} dbname={self.name} sslmode=disable"
        if postgres_port:
            url = re.sub(r"port=\d+", f"port={postgres_port}", url)
        (self.folder / "pgspine.toml").write_text(
            f'[bridge]\nname = "{self.name}"\non_halt = "stay"\n[postgres]\nurl = "{url}"\n[kafka]\nbootstrap_servers = "{kafka or own_kafka}"\n'
            f'[registry]\nurl = "{registry}"\n[topics]\nprefix = "{self.name}."\npartitions = 3\nreplication_factor = 1\n[http]\nlisten = "127.0.0.1:0"\n')
        self.processes = []
        self.work = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rest()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        slots = f"FROM pg_replication_slots WHERE database = '{self.name}'"
        wait("the slot to be free", lambda: not self.psql(f"SELECT 1 {slots} AND active", database="postgres"))
        self.psql(f"SELECT pg_drop_replication_slot(slot_name) {slots}", database="postgres")
        self.psql(f"DROP DATABASE {self.name} WITH (FORCE)", database="postgres")
        shutil.rmtree(self.folder)

    def psql(self, sql, database=None):
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", f"{self.conninfo} dbname={database or self.name}"],
                              input=sql, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, f"{sql[:200]}: {done.stderr}"
        return done.stdout.strip()

    def start(self, **environment):
        """Starts the bridge; gives the address of its page."""
        log = self.folder / f"log.{len(self.processes)}"
        with log.open("w") as out:
            self.processes.append(subprocess.Popen([PROGRAM, "run"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                   env=os.environ | {"PGSPINE_WATCH_SECONDS": "1"} | environment))

        def address():
            lines = [json.loads(l) for l in log.read_text().splitlines() if '"message":"http"' in l]
            return lines and lines[0]["address"]
        return f"http://{wait('the address', address)}/"

    def stop(self):
        self.processes[-1].send_signal(signal.SIGTERM)
        self.processes[-1].wait(30)

    def busy(self):
        """A little work, again and again, until `rest`."""
        done = threading.Event()

        def body():
            n = 0
            while not done.wait(0.2):
                n += 1
                self.psql(f"""BEGIN; INSERT INTO shop.orders (customer_id, status, total) SELECT id, 'placed', {n} FROM shop.customers ORDER BY id LIMIT 3;
                    INSERT INTO shop.order_lines SELECT max(id), 1, (SELECT min(id) FROM shop.products), 1, 1 FROM shop.orders;
                    INSERT INTO shop.order_events (order_id, event) SELECT max(id), 'placed' FROM shop.orders; COMMIT;
                    UPDATE shop.orders SET total = total WHERE id = {n}; DELETE FROM shop.orders WHERE id = {n} + 5""")
        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        self.work = (done, thread)

    def rest(self):
        if self.work:
            self.work[0].set()
            self.work[1].join()
            self.work = None


def status(url):
    with urllib.request.urlopen(url + "status", timeout=10) as answer:
        return json.loads(answer.read())


def until(url, what, level):
    """Until /status is as wanted; gives it."""
    def look():
        doc = status(url)
        return level(doc) and doc
    try:
        return wait(what, look, LIMIT)
    except AssertionError as e:
        raise AssertionError(f"{e}: {json.dumps(status(url))[:3000]}") from None


def seen(browser, url, name, images, levels, words, still=True):
    """The page that the program serves, in each look: it says what /status says, and how bad it is."""
    for look, viewport, options in (("light", DESK, {}), ("dark", DESK, {"color_scheme": "dark"}), ("phone", PHONE, {})):
        with Page(browser, url, viewport, **options) as page:
            page.drawn()
            got = page.tab.locator("#verdict").get_attribute("class").split()[-1]
            assert got in levels, f"{name} is {got}: {page.text('#verdict')}"
            text = page.text("body")
            missing = [w for w in words if plain(w) not in text]
            assert not missing, f"{name} does not show {missing}: {text}"
            if still and "verdict" in (doc := page.tab.evaluate("fetch('status').then(a => a.json())")):
                # What it draws is the newest document, but for the moment between two.
                same(page, doc, name)
            audit(page, f"{name}, {look}")
            page.picture(images, f"live-{name}-{look}")
            page.calm()


def same(page, doc, name):
    for _ in range(20):
        doc = page.tab.evaluate("async () => { const s = await (await fetch('status')).json(); draw(s); return s; }")
        try:
            return shows(page, doc, name)
        except AssertionError as e:
            error = e
    raise error


def streaming(browser, _, images):
    with Scene() as scene:
        url = scene.start()
        until(url, "the stream", lambda s: s["state"] == "streaming")
        scene.busy()
        until(url, "records", lambda s: s["transforms"]["shop/order"]["upserts"] > 30 and s["transforms"]["shop/order_event"]["events"])
        with Page(browser, url) as page:
            page.drawn()
            # What a row becomes is seen without a reload.
            before = page.tab.evaluate("bodies.get('shop/order').data[1].upserts")
            wait("the page to go on", lambda: page.tab.evaluate("bodies.get('shop/order').data[1].upserts") > before + 5, LIMIT)
            page.tab.locator("button.open", has_text="shop/order").first.click()
            assert "shop.orders" in page.text("#transforms")
            page.calm()
        seen(browser, url, "streaming", images, ["ok"], [scene.name, "Streaming", f"{scene.name}.shop.order.v1"], still=False)
        # Paused, and on again.
        scene.rest()
        subprocess.run([PROGRAM, "pause"], cwd=scene.folder, check=True, stdout=subprocess.DEVNULL)
        until(url, "the pause", lambda s: s["state"] == "paused")
        seen(browser, url, "paused", images, ["ok", "notice", "warning"], ["Paused.", "pgspine resume"])
        # Its end: the tab keeps the picture and says how old it is.
        with Page(browser, url) as page:
            page.drawn()
            scene.stop()
            page.until("#lost", "connection failed")
            assert "stale" in page.tab.get_attribute("#verdict", "class") and page.tab.title().startswith("? No answer")
            page.picture(images, "live-no-answer-light")
            page.calm(["Failed to load resource"])


def loading(browser, _, images):
    with Scene() as scene:
        scene.psql("""INSERT INTO shop.orders (customer_id, status) SELECT (SELECT min(id) FROM shop.customers), 'placed' FROM generate_series(1, 1000);
            INSERT INTO shop.order_lines SELECT o.id, g, (SELECT min(id) FROM shop.products), 1, 1 FROM shop.orders o, generate_series(101, 200) g;
            ANALYZE shop.order_lines""")
        hang = scene.folder / "hang"
        url = scene.start(PGSPINE_HANG=f"load_row:{hang}")
        until(url, "a load under way", lambda s: s["loading"] and s["loading"]["table"] == "shop.order_lines" and s["loading"]["rows"] > 0)
        hang.touch()
        # Held in the middle of the table, so that the picture holds still.
        stands(url)
        seen(browser, url, "loading", images, ["notice", "ok"], ["Under way", "Loading shop.order_lines", "rows", "%"], still=False)
        hang.unlink()
        until(url, "the stream", lambda s: s["state"] == "streaming")


def stands(url):
    """Until two looks at the load, some time apart, see the same."""
    rows = [None]

    def level():
        rows.append(status(url)["loading"]["rows"])
        time.sleep(0.3)
        return rows[-1] == rows[-2]
    wait("the load to stand", level)


def starting(browser, _, images):
    """Held before the load: nothing is known yet."""
    with Scene() as scene:
        hang = scene.folder / "hang"
        hang.touch()
        url = scene.start(PGSPINE_HANG=f"slot_created:{hang}")
        until(url, "a bridge that starts", lambda s: s["state"] in ("starting", "waiting_slot", "snapshot"))
        seen(browser, url, "starting", images, ["notice", "ok"], [scene.name], still=False)
        hang.unlink()
        until(url, "the stream", lambda s: s["state"] == "streaming")


def kafka_away(browser, _, images):
    folder = tempfile.mkdtemp(prefix="pgspine-page-")
    own, run = services(["kafka"], folder)
    with Scene(kafka=own["PGSPINE_TEST_KAFKA"]) as scene:
        url = scene.start()
        until(url, "the stream", lambda s: s["state"] == "streaming")
        run("kill", "kafka")
        scene.busy()
        until(url, "the trouble", lambda s: s.get("verdict", {}).get("level") in ("warning", "critical") or s["problem"])
        seen(browser, url, "kafka-away", images, ["warning", "critical"], ["Kafka"], still=False)
        run("up", "kafka")
        until(url, "the stream again", lambda s: s["state"] == "streaming" and not s["problem"])
        with Page(browser, url) as page:
            page.until("#verdict-h", SIGNS["ok"][1], LIMIT)


def postgres_away(browser, _, images):
    host, port = (re.search(rf"{k}=(\S+)", environment()[0])[1] for k in ("host", "port"))
    gate = Gate(host, int(port))
    with Scene(postgres_port=gate.port) as scene:
        url = scene.start()
        until(url, "the stream", lambda s: s["state"] == "streaming")
        gate.close()
        until(url, "the trouble", lambda s: s["problem"])
        seen(browser, url, "postgres-away", images, ["warning", "critical"], ["PGS"], still=False)
        gate.open()
        until(url, "the stream again", lambda s: s["state"] == "streaming" and not s["problem"])
        with Page(browser, url) as page:
            page.until("#verdict-h", SIGNS["ok"][1], LIMIT)


def slot_lost(browser, _, images):
    with Scene() as scene:
        url = scene.start()
        until(url, "the stream", lambda s: s["state"] == "streaming")
        scene.stop()
        scene.psql(f"SELECT pg_drop_replication_slot('pgspine_{scene.name}')")
        url = scene.start()
        doc = until(url, "the halt", lambda s: s["state"] == "failed")
        assert doc["problem"]["code"] == "PGS8002", doc["problem"]
        seen(browser, url, "slot-lost", images, ["critical"], ["PGS8002", "gap:", "Stopped"])


def fenced(browser, _, images):
    with Scene() as scene:
        first = scene.start()
        until(first, "the stream", lambda s: s["state"] == "streaming")
        scene.busy()
        scene.start(PGSPINE_BRIDGE__STATE_DIR="state-of-the-second")
        doc = until(first, "the fence", lambda s: s["state"] == "failed")
        assert "PGS5" in doc["problem"]["code"], doc["problem"]
        seen(browser, first, "fenced", images, ["critical"], [doc["problem"]["code"], "Stopped"], still=False)


def drift(browser, _, images):
    with Scene() as scene:
        url = scene.start()
        until(url, "the stream", lambda s: s["state"] == "streaming")
        scene.psql("ALTER TABLE shop.orders DROP COLUMN note CASCADE")
        scene.psql("UPDATE shop.orders SET total = total + 1")
        doc = until(url, "the halt", lambda s: s["state"] == "failed")
        seen(browser, url, "drift", images, ["critical"], [doc["problem"]["code"], "Stopped", "note"])


TESTS = [starting, loading, streaming, kafka_away, postgres_away, slot_lost, fenced, drift]
