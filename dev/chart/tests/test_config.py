"""The rendered pgspine.toml: what it says, and that the program itself takes it with the rendered transforms."""

import os
import pathlib
import subprocess
import tempfile
import tomllib
import unittest

from chart import CI, PRODUCT_AVSC, PRODUCT_SQL, ROOT, at_once, bridge, ci, parse, render, shop, template, toml_text

BINARY = os.environ["PGSPINE_BINARY"]
EXTRA = """
CREATE SCHEMA "orders";
CREATE TABLE "orders"."extra" ("id" bigint NOT NULL, "note" text, CONSTRAINT "extra_pkey" PRIMARY KEY ("id"));
"""


def check(toml, files):
    """`pgspine check` where the pod would run it, but for the folder of the transforms."""
    with tempfile.TemporaryDirectory() as folder:
        top = pathlib.Path(folder)
        (top / "pgspine.toml").write_text(toml)
        (top / "schema.sql").write_text((ROOT / "schema.sql").read_text() + EXTRA)
        for path, text in files.items():
            file = top / "transforms" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        environment = {"PATH": os.environ["PATH"], "PGSPINE_BRIDGE__TRANSFORMS": f"{folder}/transforms"}
        done = subprocess.run([BINARY, "check"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


def mounted(objects, name):
    """Path → text of what the pod has below transforms/ out of the chart's ConfigMap."""
    spec = objects.get("StatefulSet", name)["spec"]["template"]["spec"]
    volume = next(v for v in spec["volumes"] if v["name"] == "transforms")
    files = {}
    for source in volume.get("projected", {}).get("sources", []):
        if source["configMap"]["name"] == f"{name}-transforms":
            data = objects.get("ConfigMap", f"{name}-transforms")["data"]
            files |= {item["path"]: data[item["key"]] for item in source["configMap"]["items"]}
    return files


class TheProgram(unittest.TestCase):
    def test_takes_every_rendered_file(self):
        wanted = []
        for name in CI:
            for o in ci(name).of("StatefulSet"):
                full = o["metadata"]["name"]
                files = mounted(ci(name), full) or {"shop/product.sql": PRODUCT_SQL, "shop/product.avsc": PRODUCT_AVSC}
                wanted.append((f"{name}: {full}", toml_text(ci(name), full), files))
        self.assertGreater(len(wanted), 10)
        for (what, toml, _), (code, out) in zip(wanted, at_once(lambda what, *a: check(*a), wanted)):
            with self.subTest(what):
                self.assertEqual(code, 0, f"{out}\n{toml}")

    def test_takes_the_shipped_transforms_unchanged(self):
        folder = ROOT / "transforms"
        files = {str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.is_file()}
        self.assertGreater(len(files), 10)
        values = {"bridges": {"shop": laid(files)}}
        for which in ("helm 3", "helm 4"):
            objects = parse(template(which, values=values))
            self.assertEqual(mounted(objects, "r-pgspine-shop"), files)
        code, out = check(toml_text(objects, "r-pgspine-shop"), mounted(objects, "r-pgspine-shop"))
        self.assertEqual(code, 0, out)

    def test_does_refuse(self):
        code, out = check(toml_text(ci("minimal"), "r-pgspine-shop").replace("[kafka]", "[kafka]\nunknown = 1"), {"shop/product.sql": PRODUCT_SQL, "shop/product.avsc": PRODUCT_AVSC})
        self.assertEqual(code, 2, out)
        self.assertIn("unknown key kafka.unknown", out)


def laid(files):
    values = bridge()
    values["transforms"] = {"inline": files}
    return values


def toml_of(which="helm 3", **more):
    return tomllib.loads(toml_text(parse(template(which, values=shop(**more))), "r-pgspine-shop"))


class TheText(unittest.TestCase):
    HARD = {
        "kafka": {"properties": {"a.quote": 'say "no"', "a.backslash": "C:\\x", "a.line": "one\ntwo\ttab", "a number": 604800000,
                                 "large": 2 ** 53, "yes": True, "no": False, "sign": "<&>", "umlaut": "Zoë ☃ 𝄞", "": "empty", "zero": 0, "": "x", "half": 0.5}},
        "topic": {"shop.order.v1": {"partitions": 3, "config": {"retention.ms": 1}}, 'odd "name"': {"on_error": "halt"}},
        "reconcile": {"approve": ["adopt:a\"b", "adopt:c"]},
        "commit": {"max_records": 5_000_000},
    }

    def test_says_what_the_values_say(self):
        for which in ("helm 3", "helm 4"):
            read = toml_of(which, config=self.HARD)
            self.assertEqual(read["kafka"]["properties"], self.HARD["kafka"]["properties"] | {"half": "0.5"})
            self.assertEqual(read["topic"], self.HARD["topic"])
            self.assertEqual(read["reconcile"], self.HARD["reconcile"])
            self.assertEqual(read["commit"], self.HARD["commit"])
            self.assertIsInstance(read["commit"]["max_records"], int)

    def test_fixed_keys(self):
        read = toml_of(http={"address": "[::]"})
        self.assertEqual(read["bridge"], {"name": "shop", "on_halt": "stay", "state_dir": "/var/lib/pgspine", "transforms": "/etc/pgspine/transforms"})
        self.assertEqual(read["http"], {"listen": "[::]:8080"})
        self.assertEqual(read["postgres"]["password_file"], "/etc/pgspine/secrets/postgres/password")

    def test_secrets_and_certificates_are_files(self):
        def read(name):
            return tomllib.loads(toml_text(ci("production"), f"r-pgspine-{name}"))
        orders, audit = read("orders"), read("audit")
        tls = "/etc/pgspine/tls"
        self.assertEqual(orders["postgres"]["url"], "postgres://pgspine@pg.example.com:5432/orders?sslmode=verify-full&channel_binding=require"
                         f"&sslcert={tls}/postgres/tls.crt&sslkey={tls}/postgres/tls.key&sslrootcert={tls}/postgres/ca.crt")
        self.assertEqual(audit["postgres"], {"url": "host=pg.example.com dbname=audit user=pgspine sslmode=verify-ca"
                                             f" sslcert={tls}/postgres/tls.crt sslkey={tls}/postgres/tls.key sslrootcert={tls}/postgres/ca.crt"})
        self.assertEqual(toml_of(tls={"postgres": {"existingConfigMap": "ca"}})["postgres"]["url"], f"postgres://pgspine@postgres:5432/shop?sslrootcert={tls}/postgres/ca.crt")
        secret = "${file:/etc/pgspine/secrets/%s}"
        self.assertEqual(orders["kafka"]["properties"], {
            "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": secret % "kafka/username", "sasl.password": secret % "kafka/password",
            "ssl.ca.location": f"{tls}/kafka/ca.crt", "ssl.certificate.location": f"{tls}/kafka/tls.crt", "ssl.key.location": f"{tls}/kafka/tls.key"})
        self.assertEqual({k: v for k, v in orders["registry"].items() if k not in ("url", "mode", "compatibility")},
                         {"bearer_token": secret % "registry/bearer_token", "cert": f"{tls}/registry/tls.crt", "key": f"{tls}/registry/tls.key"})
        self.assertEqual({k: v for k, v in audit["registry"].items() if k not in ("url", "mode", "compatibility")},
                         {"username": secret % "registry/username", "password": secret % "registry/password", "ca": f"{tls}/registry/ca.crt"})

    def test_a_bridge_overrides_the_defaults_key_by_key(self):
        defaults = {"config": {"topics": {"partitions": 12, "prefix": "eu."}, "kafka": {"properties": {"a": "1", "b": "2"}}}, "resources": {"limits": {"memory": "2Gi"}},
                    "preflight": {"enabled": True}, "tolerations": [{"key": "x"}], "podAnnotations": {"x": "1", "y": "2"}}
        own = bridge(config={"topics": {"prefix": ""}, "kafka": {"properties": {"b": None}}}) | {"preflight": {"enabled": False}, "tolerations": [], "podAnnotations": {"x": "3"}}
        own["config"]["kafka"]["properties"] = {"b": None, "c": True}
        for which in ("helm 3", "helm 4"):
            objects = parse(template(which, values={"defaults": defaults, "bridges": {"shop": own}}))
            read = tomllib.loads(toml_text(objects, "r-pgspine-shop"))
            self.assertEqual(read["topics"], {"partitions": 12, "prefix": ""})
            self.assertEqual(read["kafka"]["properties"], {"a": "1", "c": True}, which)
            self.assertEqual(objects.of("Job"), [])
            spec = objects.get("StatefulSet", "r-pgspine-shop")["spec"]["template"]
            self.assertNotIn("tolerations", spec["spec"])
            self.assertEqual({k: v for k, v in spec["metadata"]["annotations"].items() if k in "xy"}, {"x": "3", "y": "2"})
            self.assertEqual(spec["spec"]["containers"][0]["resources"], {"limits": {"memory": "2Gi"}, "requests": {"cpu": "100m", "memory": "384Mi"}})


class WhatRollsThePod(unittest.TestCase):
    def pod(self, **more):
        return render(shop(**more)).get("StatefulSet", "r-pgspine-shop")["spec"]["template"]["metadata"]["annotations"]

    def test_a_change_of_what_it_reads(self):
        base = self.pod()
        changed = {
            "config": self.pod(config={"topics": {"partitions": 3}}),
            "transform": self.pod(transforms={"inline": {"shop/product.sql": PRODUCT_SQL + " "}}),
            "contract": self.pod(transforms={"inline": {"shop/product.avsc": PRODUCT_AVSC.replace("Product", "Good")}}),
            "revision": self.pod(transforms={"revision": "2"}),
        }
        self.assertEqual(len({str(sorted(a.items())) for a in [base, *changed.values()]}), 5)
        self.assertEqual(changed["transform"]["checksum/config"], base["checksum/config"])
        self.assertNotEqual(changed["transform"]["checksum/transforms"], base["checksum/transforms"])
        self.assertNotEqual(changed["config"]["checksum/config"], base["checksum/config"])

    def test_nothing_else(self):
        base = self.pod()
        self.assertEqual(base, self.pod(state={"size": "20Gi"}))
        self.assertEqual(base, self.pod(preflight={"enabled": False}))
        other = {"bridges": {"shop": bridge(), "stock": bridge(config={"postgres": {"slot": "x", "publication": "x"}})}}
        self.assertEqual(render(shop()).of("StatefulSet")[0], render(other).get("StatefulSet", "r-pgspine-shop"), "another bridge comes: this one goes on")


if __name__ == "__main__":
    unittest.main()
