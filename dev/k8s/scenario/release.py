"""One release of the chart: three bridges on one database, and the question whether their topics are exact."""
import copy, json, os, re

from cluster import Helm, Pod, kubectl
from shop import ROOT, Shop, Workload
from topics import Topic
from transcript import note, run, until

CHART = os.environ.get("PGSPINE_CHART") or f"{ROOT}/helm/pgspine"
KAFKA, REGISTRY, DIR = os.environ["PGSPINE_TEST_KAFKA"], os.environ["PGSPINE_TEST_REGISTRY"], os.environ["PGSPINE_K8S_DIR"]
IMAGE = os.environ["PGSPINE_K8S_IMAGE"]
SERVICES = [f"{ROOT}/dev/services", "--dir", os.environ["PGSPINE_TEST_SERVICES"]]

PRICE_SQL = """/* pgspine
topic = "shop.price.v1"
key   = ["product_id"]
*/
SELECT p.id AS product_id, p.price, p.discontinued FROM shop.products AS p;
"""
PRICE_AVSC = json.dumps({"type": "record", "name": "Price", "namespace": "shop.v1", "fields": [
    {"name": "product_id", "type": "long"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "discontinued", "type": "boolean"}]}, indent=1)


def shipped(*names):
    """Of the transforms of the repository, the files by their names."""
    return {f"shop/{n}.{e}": open(f"{ROOT}/transforms/shop/{n}.{e}").read() for n in names for e in ("sql", "avsc")}


TABLES = {"shop": ["shop.customers", "shop.orders", "shop.order_lines", "shop.products", "shop.order_events"],
          "catalogue": ["shop.products", "shop.order_lines"],
          "prices": ["shop.products"]}
TRANSFORMS = {"shop": shipped("customer", "order", "order_event"), "catalogue": shipped("product", "order_line"),
              "prices": {"shop/price.sql": PRICE_SQL, "shop/price.avsc": PRICE_AVSC}}


class Release:
    def __init__(self, helm_version, seed=1):
        self.namespace = self.database = self.prefix = f"helm{helm_version}"
        self.helm = Helm(helm_version, self.namespace, "shop")
        self.shop = Shop(self.database, TABLES)
        self.workload = Workload(self.shop, seed)
        self.transforms = copy.deepcopy(TRANSFORMS)
        self.sets = {b: f"shop-pgspine-{b}" for b in TABLES}
        self.pods = {b: Pod(self.namespace, f"shop-pgspine-{b}-0") for b in TABLES}

    def namespace_with_restrictions(self):
        kubectl("create", "namespace", self.namespace)
        for mode in ("enforce", "warn"):
            kubectl("label", "namespace", self.namespace, f"pod-security.kubernetes.io/{mode}=restricted")
        self.secret("first, and to be changed")

    def secret(self, password):
        made = kubectl("-n", self.namespace, "create", "secret", "generic", "postgres", f"--from-literal=password={password}", "--dry-run=client", "-o", "yaml")
        kubectl("apply", "-f", "-", stdin=made)

    def values(self):
        """The values as a file."""
        bridges = {}
        for bridge, files in self.transforms.items():
            bridges[bridge] = {
                "config": {
                    "postgres": {"slot": self.shop.slot(bridge), "publication": self.shop.publication(bridge)},
                    # The second release has bridges of the same names on the same Kafka.
                    "kafka": {"transactional_id": f"{self.prefix}.{bridge}", "progress_topic": f"{self.prefix}.{bridge}.progress"}},
                "transforms": {"inline": files}}
        bridges["prices"]["state"] = {"type": "emptyDir"}
        values = {
            "defaults": {
                "image": {"repository": IMAGE.rsplit(":", 1)[0], "tag": IMAGE.rsplit(":", 1)[1], "pullPolicy": "Never"},
                "secrets": {"postgres": {"existingSecret": "postgres"}},
                "config": {
                    "postgres": {"url": self.shop.url(), "publication_mode": "verify"}, "kafka": {"bootstrap_servers": KAFKA},
                    "registry": {"url": REGISTRY}, "topics": {"prefix": f"{self.prefix}."}}},
            "bridges": bridges}
        path = f"{DIR}/values-{self.namespace}.json"
        with open(path, "w") as f:
            json.dump(values, f)
        return path

    def install(self):
        return self.helm("install", self.helm.release, CHART, "-f", self.values(), "--wait", "--timeout", "240s", limit=300).stdout

    def upgrade(self, *arguments, ok=True):
        return self.helm("upgrade", self.helm.release, CHART, "-f", self.values(), *arguments, ok=ok, limit=300)

    def topics(self):
        """(name, SELECT, key or None for events) of every transform."""
        for files in self.transforms.values():
            for path, sql in files.items():
                if path.endswith(".sql"):
                    topic = re.search(r'topic\s*=\s*"(.*?)"', sql)[1]
                    events = re.search(r'event_id\s*=\s*"(.*?)"', sql)
                    yield f"{self.prefix}.{topic}", sql, events and events[1], json.loads(re.search(r"key\s*=\s*(\[.*?\])", sql)[1])

    def exact(self):
        """The shop stands still, and each topic comes to be PostgreSQL's answer to its SELECT; then it trades on."""
        self.workload.pause()
        for topic, sql, event_id, key in self.topics():
            def same():
                read, rows = Topic(topic, KAFKA, REGISTRY), self.shop.answer(sql)
                return read.compare_events(event_id, rows) if event_id else read.compare_entities(key, rows)
            keys, records = until(f"{topic} equals its SELECT", 90, same)
            note(f"equal  {topic}: {keys:,} {'events' if event_id else 'keys'} ({records:,} records)")
        note(f"after {self.workload.transactions:,} transactions of the shop")
        self.workload.resume()

    def flows(self, bridge="shop"):
        """A change made now is in Kafka soon."""
        at = self.shop.one("SELECT pg_current_wal_lsn()")
        self.workload.resume()
        until(f"{bridge} has sent everything up to {at}", 240, lambda: number(self.pods[bridge].status()["positions"]["emitted"]) >= number(at))

    def loaded_rows(self, bridge):
        return int(self.pods[bridge].metric("pgspine_snapshot_rows_total") or 0)

    def kafka(self, what):
        run(*SERVICES, what, "kafka")

    def uninstall(self):
        return self.helm("uninstall", self.helm.release, "--wait", "--timeout", "120s", limit=180).stdout


def number(lsn):
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)
