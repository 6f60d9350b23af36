"""What is refused while it is rendered, by both Helms, and in which words: the schema's, or the chart's own."""

import re
import unittest

from chart import CHART, HELMS, PRODUCT_AVSC, PRODUCT_SQL, at_once, bridge, helm, shop

EVENT = """/* pgspine
topic = "shop.placed.v1"
kind  = "event"
key   = ["id"]
*/
SELECT e.id, o.total FROM shop.events AS e JOIN shop.orders AS o ON o.id = e.order_id;
"""


def two(first, second, **more):
    return {"bridges": {"a": bridge(first), "b": bridge(second, **more)}}


def own(section, **keys):
    return shop(config={section: keys})


# (what, values, what the message says, arguments)
CASES = [
    # The schema.
    ("an unknown key", {"bridge": {}}, ["bridge"]),
    ("an unknown key of a bridge", shop(stat={}), ["bridges", "shop", "stat"]),
    ("an unknown key of the configuration", own("postgres", ur="x"), ["postgres", "ur"]),
    ("an unknown section", own("posgres", url="x"), ["posgres"]),
    ("an unknown key of a topic", own("topic", **{"shop.order.v1": {"partition": 3}}), ["shop.order.v1", "partition"]),
    ("replicaCount", {"replicaCount": 2}, ["replicaCount"]),
    ("replicaCount of a bridge", shop(replicaCount=2), ["replicaCount"]),
    ("replicas of a bridge", shop(replicas=1), ["replicas"]),
    ("replicas of the defaults", {"defaults": {"replicas": 1}}, ["replicas"]),
    ("an unknown alert", {"prometheusRule": {"alerts": {"PgspineSlow": {}}}}, ["PgspineSlow"]),
    ("an unknown key of an alert", {"prometheusRule": {"alerts": {"PgspineDown": {"thresold": 1}}}}, ["thresold"]),
    ("a wrong type", shop(paused="yes"), ["paused"]),
    ("a wrong word", own("postgres", publication_mode="manages"), ["publication_mode"]),
    ("a wrong size", own("limits", memory="lots"), ["memory"]),
    ("a wrong interval", own("commit", interval="soon"), ["interval"]),
    ("an approval that is none", own("reconcile", approve=["yes"]), ["approve"]),
    ("too short a grace", shop(terminationGracePeriodSeconds=5), ["terminationGracePeriodSeconds"]),
    ("a digest that is none", shop(image={"digest": "abc"}), ["digest"]),
    ("a port that is none", shop(networkPolicy={"egress": [{"ports": [70000]}]}), ["egress"]),
    # Names.
    ("a bad bridge name", {"bridges": {"Shop": bridge()}}, ['"Shop" is not a bridge name']),
    ("a bridge name with a dot", {"bridges": {"shop.eu": bridge()}}, ['"shop.eu" is not a bridge name']),
    ("a bridge name that ends with -", {"bridges": {"shop-": bridge()}}, ['"shop-" is not a bridge name']),
    ("a bridge name of 51 characters", {"bridges": {"a" * 51: bridge()}}, ["is not a bridge name"]),
    ("names too long for Kubernetes", {"bridges": {"a" * 43: bridge()}}, ["53 characters", "fullnameOverride"]),
    ("one name in Kubernetes", {"bridges": {"a-b": bridge(), "a_b": bridge(config={"postgres": {"slot": "x", "publication": "x"}})}}, ["bridges.a-b and bridges.a_b are both r-pgspine-a-b"]),
    ("a bad slot name", own("postgres", slot="shop-eu"), ['bridges.shop.config.postgres.slot: "shop-eu" is not a slot name']),
    ("a long slot name", own("postgres", slot="a" * 64), ["is not a slot name"]),
    # What one release may have once.
    ("two bridges with one slot", two("postgres://u@db/x", "postgres://u@db:5432/x", config={"postgres": {"slot": "pgspine_a"}}), ["bridges.a and bridges.b both read slot pgspine_a of db:5432"]),
    ("a slot in another spelling", two("postgres://u@DB/x", "host=db port=5432 dbname=y user=u", config={"postgres": {"slot": "pgspine_a"}}), ["both read slot pgspine_a of db:5432"]),
    ("a slot in a query", two("postgres://u@db:6432/x", "postgres:///x?user=u&host=db&port=6432", config={"postgres": {"slot": "pgspine_a"}}), ["both read slot pgspine_a of db:6432"]),
    ("a slot of one of several hosts", two("postgres://u@a,b:7000/x", "host=c,b port=5432,7000 dbname=x", config={"postgres": {"slot": "pgspine_a"}}), ["both read slot pgspine_a of b:7000"]),
    ("a slot with a default", {"defaults": {"config": {"postgres": {"slot": "one"}}}, "bridges": {"a": bridge("postgres://u@db/x"), "b": bridge("postgres://u@db/y")}}, ["both read slot one of db:5432"]),
    ("one publication", two("postgres://u@db/x", "postgres://u@db/x", config={"postgres": {"publication": "pgspine_a"}}), ["both manage publication pgspine_a of db:5432/x"]),
    ("one transactional id", two("postgres://u@db/x", "postgres://u@db2/x", config={"kafka": {"transactional_id": "pgspine.a"}}), ["bridges.a and bridges.b have one transactional id, pgspine.a"]),
    ("two monitors", {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}, ["podMonitor and serviceMonitor are both enabled"]),
    # What is the chart's.
    ("the name", own("bridge", name="x"), ["bridges.shop.config.bridge: the chart sets [bridge]"]),
    ("a path", own("bridge", state_dir="/x"), ["the chart sets [bridge]"]),
    ("the port", own("http", listen="0.0.0.0:80"), ["the chart sets [http]"]),
    ("an override", shop(extraEnv=[{"name": "PGSPINE_POSTGRES__SLOT", "value": "x"}]), ["PGSPINE_POSTGRES__SLOT would override pgspine.toml"]),
    ("a certificate's path", shop(tls={"postgres": {"existingSecret": "s"}}, config={"postgres": {"url": "postgres://u@db/x?sslrootcert=/x"}}), ["sslrootcert, sslcert and sslkey come from tls.postgres"]),
    ("a property of the chart's", shop(tls={"kafka": {"existingSecret": "s"}}, config={"kafka": {"properties": {"ssl.ca.location": "/x"}}}), ['"ssl.ca.location" is set by the chart from bridges.shop.tls.kafka']),
    ("the registry's user", own("registry", username="u"), ["bridges.shop.secrets.registry.existingSecret"]),
    ("the registry's CA", own("registry", ca="/x"), ["bridges.shop.tls.registry.existingSecret"]),
    # What has to be there.
    ("no PostgreSQL", own("postgres", url=""), ["bridges.shop.config.postgres.url is required"]),
    ("no Kafka", own("kafka", bootstrap_servers=""), ["bridges.shop.config.kafka.bootstrap_servers is required"]),
    ("no registry", own("registry", url=""), ["bridges.shop.config.registry.url is required"]),
    ("no transforms", shop(transforms={"inline": None}), ["bridges.shop.transforms: there are none"]),
    ("no Secret", shop(secrets={"postgres": {"existingSecret": ""}}), ["bridges.shop.secrets.postgres.existingSecret is missing"]),
    ("no Secret for SASL", own("kafka", properties={"security.protocol": "sasl_ssl", "sasl.mechanisms": "PLAIN"}), ["bridges.shop.secrets.kafka.existingSecret is missing"]),
    ("keys of no Secret", shop(secrets={"registry": {"usernameKey": "u", "passwordKey": "p"}}), ["bridges.shop.secrets.registry names keys of a Secret but no Secret"]),
    ("a Secret without keys", shop(secrets={"kafka": {"existingSecret": "s"}}), ["bridges.shop.secrets.kafka.existingSecret names a Secret but none of its keys"]),
    ("a token and a password", shop(secrets={"registry": {"existingSecret": "s", "bearerTokenKey": "t", "passwordKey": "p"}}), ["bearerTokenKey excludes"]),
    ("half a client certificate", shop(tls={"postgres": {"existingSecret": "s", "certKey": "tls.crt"}}), ["certKey and keyKey; one of them is missing"]),
    ("a client certificate from nowhere", shop(tls={"kafka": {"certKey": "tls.crt", "keyKey": "tls.key"}}), ["bridges.shop.tls.kafka.existingSecret"]),
    ("TLS material without keys", shop(tls={"kafka": {"existingSecret": "s", "caKey": ""}}), ["set caKey, or certKey and keyKey"]),
    # Secrets in values.
    ("a password", own("postgres", password="hunter2"), ["bridges.shop.config.postgres.password: no password stands in values"]),
    ("a password file", own("postgres", password_file="/x"), ["no password stands in values"]),
    ("a password in a URL", own("postgres", url="postgres://u:hunter2@db/x"), ["config.postgres.url holds a password"]),
    ("a password in a query", own("postgres", url="postgres://u@db/x?password=hunter2"), ["config.postgres.url holds a password"]),
    ("a password in a keyword string", own("postgres", url="host=db password = hunter2"), ["config.postgres.url holds a password"]),
    ("a password of Kafka", own("kafka", properties={"sasl.password": "hunter2"}), ["no secret stands in values"]),
    ("a password of a key", own("kafka", properties={"ssl.key.password": "hunter2"}), ["no secret stands in values"]),
    ("a password of the registry", own("registry", password="hunter2"), ["bridges.shop.secrets.registry.existingSecret"]),
    ("a password in a variable", shop(extraEnv=[{"name": "PGPASSWORD", "value": "hunter2"}]), ["PGPASSWORD holds a secret; use valueFrom.secretKeyRef"]),
    # Transforms.
    ("transforms over the limit", shop(transforms={"inline": {"shop/big.avsc": "x" * 1_000_001}}), ["bridges.shop.transforms.inline: 1000", "bytes of files; a ConfigMap holds 1048576", "transforms.imageVolume"]),
    ("two ways", shop(transforms={"imageVolume": {"reference": "x"}}), ["exclude each other"]),
    ("a path outside", shop(transforms={"inline": {"../x.sql": PRODUCT_SQL}}), ['"../x.sql" is not a file below transforms/']),
    ("another kind of file", shop(transforms={"inline": {"shop/readme.md": "x"}}), ['"shop/readme.md" is not a file below transforms/']),
    ("one key for two files", shop(transforms={"inline": {"shop__product.sql": PRODUCT_SQL}}), ["are one key"]),
    ("an image volume that Kubernetes has not", shop(transforms={"inline": None, "imageVolume": {"reference": "x"}}), ["Kubernetes v1.29.0 has no image volumes"], "--kube-version", "1.29.0"),
    ("events that look up, without state", shop(state={"type": "emptyDir"}, transforms={"inline": {"shop/placed.sql": EVENT, "shop/placed.avsc": PRODUCT_AVSC}}), ["shop/placed.sql is an event transform that looks up other tables", "eventsMayGap"]),
    # Room.
    ("too little memory", shop(config={"limits": {"memory": "1GiB"}}), ["resources.limits.memory 1Gi is too little for config.limits.memory 1GiB", "1600Mi"]),
    ("an old Kubernetes", {}, ["1.24"], "--kube-version", "1.24.0"),
]


class Refused(unittest.TestCase):
    def test_in_clear_words(self):
        wanted = [(which, *case) for which in HELMS for case in CASES]

        def run(which, what, values, says, *arguments):
            return helm(which, "template", "r", *arguments, values=values)
        seen = ""
        for (which, what, values, says, *_), (code, out, err) in zip(wanted, at_once(run, wanted)):
            seen += err
            with self.subTest(f"{which}: {what}"):
                self.assertNotEqual(code, 0)
                for words in says:
                    self.assertIn(words, err)
                self.assertNotIn("hunter2", out + err, "the message shows no secret")
                self.assertNotIn("nil pointer", err)
        # Every refusal of the chart's own has its case.
        for message in re.findall(r'fail \(?(?:printf )?"((?:[^"\\]|\\.)*)"', (CHART / "templates/_guards.tpl").read_text()):
            with self.subTest(message):
                self.assertRegex(seen, ".*?".join(re.escape(part) for part in re.split("%[a-z]", message.replace('\\"', '"'))))

    def test_what_looks_like_it_but_is_not(self):
        wanted = [(which, "template", "r") for which in HELMS]
        for what, values in [
            ("a password from a file", own("postgres", url="postgres://u:${file:/x}@db/x")),
            ("a password from a variable", shop(config={"postgres": {"url": "${DATABASE_URL}"}}, secrets={"postgres": {"existingSecret": ""}},
                                                extraEnv=[{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])),
            ("one slot name on two servers", two("postgres://u@db/x", "postgres://u@db2/x", config={"postgres": {"slot": "pgspine_a"}})),
            ("temporary slots", two("postgres://u@db/x", "postgres://u@db/x", config={"postgres": {"slot": "pgspine_a", "temporary_slot": True}})),
            ("one publication that is verified", two("postgres://u@db/x", "postgres://u@db/x", config={"postgres": {"publication": "pgspine_a", "publication_mode": "verify"}})),
            ("no password asked for", shop(secrets={"postgres": {"existingSecret": "", "required": False}})),
            ("SASL by Kerberos", own("kafka", properties={"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"})),
            ("events that gap with open eyes", shop(state={"type": "emptyDir", "emptyDir": {"eventsMayGap": True}}, transforms={"inline": {"shop/placed.sql": EVENT}})),
            ("a million bytes", shop(transforms={"inline": {"shop/big.avsc": "x" * 990_000}})),
        ]:
            for code, _, err in at_once(lambda *a: helm(*a, values=values), wanted):
                with self.subTest(what):
                    self.assertEqual(code, 0, err)


if __name__ == "__main__":
    unittest.main()
