"""The parts that are switched on: preflight, test, monitors, rules, dashboards, network policy, images."""

import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import yaml

from chart import CHART, CI, HELMS, ci, helm, parse, render, shop, template

HOOKS = "helm.sh/hook"
RULES = yaml.safe_load((CHART / "files/rules.yaml").read_text())


def by_alert(groups):
    return {r["alert"]: r for g in groups for r in g["rules"]}


def rules(which="helm 3", **values):
    objects = parse(template(which, values={"prometheusRule": {"enabled": True, **values}}))
    return objects.of("PrometheusRule")[0]["spec"]


class Preflight(unittest.TestCase):
    def test_is_complete_before_the_release_is(self):
        """Whatever the Job names and the chart makes is a hook as well, and earlier."""
        for name in ("minimal", "many", "production", "emptydir", "image-volume"):
            objects = ci(name)
            for job in objects.of("Job"):
                spec = job["spec"]["template"]["spec"]
                named = [("ServiceAccount", spec["serviceAccountName"])]
                for v in spec["volumes"]:
                    for source in [v, *v.get("projected", {}).get("sources", [])]:
                        if "configMap" in source:
                            named.append(("ConfigMap", source["configMap"]["name"]))
                made = {(o["kind"], o["metadata"]["name"]): o for o in objects}
                for what in named:
                    if what in made:
                        annotations = made[what]["metadata"]["annotations"]
                        self.assertEqual(annotations[HOOKS], "pre-install,pre-upgrade")
                        self.assertLess(int(annotations["helm.sh/hook-weight"]), int(job["metadata"]["annotations"]["helm.sh/hook-weight"]))
                    else:
                        self.assertNotIn("r-pgspine", what[1], "it would be the release's own, which is not there yet")

    def test_checks_the_new_text_with_the_bridges_own_means(self):
        objects = ci("production")
        job, pod = objects.get("Job", "r-pgspine-orders-preflight"), objects.get("StatefulSet", "r-pgspine-orders")
        job, pod = (o["spec"]["template"]["spec"]["containers"][0] for o in (job, pod))
        self.assertEqual(job["args"], ["check", "--live"])
        for key in ("image", "env", "envFrom", "securityContext", "workingDir"):
            self.assertEqual(job[key], pod[key])
        self.assertEqual(job["volumeMounts"], [m for m in pod["volumeMounts"] if m["name"] != "state"])
        for what in ("config", "transforms"):
            copy, own = (objects.get("ConfigMap", f"r-pgspine-orders{p}-{what}")["data"] for p in ("-preflight", ""))
            self.assertEqual(copy, own)

    def test_findings_are_final_and_kept_for_reading(self):
        job = ci("minimal").of("Job")[0]
        self.assertEqual(job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"], [1, 2])
        self.assertEqual(job["spec"]["template"]["spec"]["restartPolicy"], "Never")
        self.assertEqual(job["metadata"]["annotations"]["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded")

    def test_is_optional_and_spares_what_is_paused(self):
        self.assertEqual(len(ci("many").of("Job")), 3)
        self.assertEqual([j["metadata"]["name"] for j in ci("production").of("Job")], ["r-pgspine-orders-preflight"])
        off = render(shop(preflight={"enabled": False}))
        self.assertEqual([o for o in off if o["metadata"].get("annotations", {}).get(HOOKS, "").startswith("pre")], [])

    def test_helm_test(self):
        pod = ci("minimal").of("Pod")[0]
        self.assertEqual(pod["metadata"]["annotations"][HOOKS], "test")
        self.assertEqual(pod["spec"]["containers"][0]["image"], ci("minimal").of("StatefulSet")[0]["spec"]["template"]["spec"]["containers"][0]["image"])
        self.assertEqual([p["metadata"]["name"] for p in ci("production").of("Pod")], ["r-pgspine-orders-test"])


class Monitoring(unittest.TestCase):
    def test_is_off_by_default(self):
        self.assertEqual([o["kind"] for o in ci("minimal") if o["apiVersion"].startswith("monitoring")], [])
        self.assertEqual([o for o in ci("minimal").of("ConfigMap") if "dashboard" in o["metadata"]["name"]], [])

    def test_finds_every_bridge_and_nothing_else(self):
        for name, kind, key in (("production", "PodMonitor", "podMetricsEndpoints"), ("image-volume", "ServiceMonitor", "endpoints")):
            monitor = ci(name).of(kind)[0]["spec"]
            selector = monitor["selector"]["matchLabels"].items()
            if kind == "PodMonitor":
                found = [what for what, metadata, _ in ci(name).pods() if selector <= metadata["labels"].items()]
                self.assertEqual(found, [f"StatefulSet {o['metadata']['name']}" for o in ci(name).of("StatefulSet")])
                self.assertEqual(monitor["namespaceSelector"], {"matchNames": ["data"]})
            else:
                found = [o for o in ci(name).of("Service") if selector <= o["metadata"]["labels"].items()]
                self.assertEqual(found, ci(name).of("Service"))
            self.assertEqual((monitor[key][0]["port"], monitor[key][0]["path"]), ("http", "/metrics"))

    def test_rules_are_the_tested_file(self):
        for which in HELMS:
            self.assertEqual(rules(which)["groups"], RULES["groups"])

    def test_a_value_changes_its_rule_alone(self):
        changed = {
            "PgspineLatencyHigh": {"threshold": 2.5, "for": "30m", "severity": "page", "labels": {"team": "x"}},
            "PgspineStateDiskLow": {"threshold": 5368709120}, "PgspineKafkaAborts": {"threshold": 0}, "PgspineRestarts": {"enabled": False}}
        for which in HELMS:
            before, after = by_alert(RULES["groups"]), by_alert(rules(which, alerts=changed)["groups"])
            self.assertEqual({a for a in before if before[a] != after.get(a)}, set(changed))
            self.assertNotIn("PgspineRestarts", after)
            late = after["PgspineLatencyHigh"]
            self.assertEqual((late["for"], late["labels"]["severity"], late["labels"]["team"]), ("30m", "page", "x"))
            self.assertIn("2.5 # threshold", late["expr"])
            self.assertIn("5368709120 # threshold", after["PgspineStateDiskLow"]["expr"])
            self.assertRegex(after["PgspineKafkaAborts"]["expr"], r"(?<![0-9.])0 # threshold")

    def test_promtool_takes_them(self):
        changed = ci("production").of("PrometheusRule")[0]["spec"]
        done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", "/dev/stdin"], input=yaml.safe_dump(changed), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"{len(by_alert(RULES['groups'])) - 1} rules found", done.stdout)

    def test_runbooks(self):
        for alert, rule in by_alert(ci("production").of("PrometheusRule")[0]["spec"]["groups"]).items():
            self.assertEqual(rule["annotations"]["runbook_url"], f"https://wiki.example.com/pgspine/{alert}.md")

    def test_values_list_every_alert_as_it_is(self):
        listed = yaml.safe_load((CHART / "values.yaml").read_text())["prometheusRule"]["alerts"]
        self.assertEqual({a: (r["for"], r["labels"]["severity"], "# threshold" in r["expr"]) for a, r in by_alert(RULES["groups"]).items()},
                         {a: (v["for"], v["severity"], "threshold" in v) for a, v in listed.items()})

    def test_a_threshold_where_there_is_none(self):
        for which in HELMS:
            code, _, err = helm(which, "template", "r", values={"prometheusRule": {"enabled": True, "alerts": {"PgspineSlotLost": {"threshold": 1}}}})
            self.assertNotEqual(code, 0)
            self.assertIn("prometheusRule.alerts.PgspineSlotLost.threshold: this alert has no threshold", err)

    def test_file_and_values_have_the_same_alerts(self):
        for old, new, says in (
            ("alert: PgspineFenced", "alert: PgspineNew", "files/rules.yaml has an alert PgspineNew that prometheusRule.alerts does not list"),
            ("alert: PgspineFenced", "alert: PgspineDown", "prometheusRule.alerts.PgspineFenced: files/rules.yaml has no such alert"),
        ):
            with tempfile.TemporaryDirectory() as folder:
                chart = shutil.copytree(CHART, f"{folder}/pgspine")
                file = pathlib.Path(chart, "files/rules.yaml")
                file.write_text(file.read_text().replace(old, new))
                code, _, err = helm("helm 4", "template", "r", values={"prometheusRule": {"enabled": True}}, chart=chart)
                self.assertNotEqual(code, 0)
                self.assertIn(says, err)

    def test_dashboards_are_the_files(self):
        found = [o for o in ci("production").of("ConfigMap") if "grafana_dashboard" in o["metadata"].get("labels", {})]
        self.assertEqual(len(found), 1)
        self.assertEqual(found[0]["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(json.loads(found[0]["data"]["pgspine-dashboard.json"]), json.loads((CHART / "files/dashboard.json").read_text()))


class Network(unittest.TestCase):
    def test_every_pod_has_its_policy(self):
        def selects(policy, labels):
            s = policy["spec"]["podSelector"]
            return s["matchLabels"].items() <= labels.items() and all(labels.get(e["key"]) in e["values"] for e in s.get("matchExpressions", []))
        for name in ("production", "emptydir"):
            policies = ci(name).of("NetworkPolicy")
            for what, metadata, _ in ci(name).pods():
                mine = [p for p in policies if selects(p, metadata["labels"])]
                self.assertEqual(len(mine), 1, what)
                self.assertEqual(mine[0]["metadata"].get("annotations", {}).get(HOOKS), "pre-install,pre-upgrade" if what.startswith("Job") else None)
                self.assertEqual(mine[0]["spec"]["policyTypes"], ["Ingress", "Egress"])

    def test_ports(self):
        spec = ci("production").get("NetworkPolicy", "r-pgspine-orders")["spec"]
        self.assertEqual([[p["port"] for p in r["ports"]] for r in spec["egress"]], [[53, 53], [5432], [9094, 443]])
        self.assertEqual(spec["ingress"][0]["from"], [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}])
        self.assertEqual(ci("emptydir").get("NetworkPolicy", "r-bridge-shop")["spec"]["ingress"], [])

    def test_nobody_is_kept_from_draining_unasked(self):
        self.assertEqual(ci("minimal").of("PodDisruptionBudget"), [])
        self.assertEqual({o["spec"]["maxUnavailable"] for o in ci("production").of("PodDisruptionBudget")}, {0})


class Images(unittest.TestCase):
    def of(self, **image):
        return render(shop(image=image)).of("StatefulSet")[0]["spec"]["template"]["spec"]["containers"][0]["image"]

    def test_reference(self):
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        digest = "sha256:" + "1" * 64
        self.assertEqual(self.of(), f"ghcr.io/pgspine/pgspine:{version}")
        self.assertEqual(self.of(repository="x/y", tag="7"), "x/y:7")
        self.assertEqual(self.of(digest=digest), f"ghcr.io/pgspine/pgspine@{digest}")
        self.assertEqual(self.of(tag="7", digest=digest), f"ghcr.io/pgspine/pgspine:7@{digest}")

    def test_transforms_out_of_images(self):
        def spec(name):
            return ci("image-volume").get("StatefulSet", name)["spec"]["template"]["spec"]
        def volume(s):
            return next(v for v in s["volumes"] if v["name"] == "transforms")
        shop_spec, stock = spec("bridges-shop"), spec("bridges-stock")
        self.assertEqual(volume(shop_spec)["image"], {"reference": "registry.example.com/shop-transforms:7", "pullPolicy": "Always"})
        self.assertEqual(next(m for m in shop_spec["containers"][0]["volumeMounts"] if m["name"] == "transforms")["subPath"], "transforms")
        self.assertEqual(volume(stock)["emptyDir"], {})
        init = stock["initContainers"][0]
        self.assertEqual((init["command"], init["volumeMounts"]), (["/bin/cp", "-R", "/t/.", "/target/"], [{"name": "transforms", "mountPath": "/target"}]))


class Notes(unittest.TestCase):
    def of(self, values):
        """Helm shows notes only after an installation; here they are the content of an object."""
        with tempfile.TemporaryDirectory() as folder:
            chart = shutil.copytree(CHART, f"{folder}/pgspine")
            notes = pathlib.Path(chart, "templates/NOTES.txt")
            pathlib.Path(chart, "templates/_notes.tpl").write_text('{{ define "notes" }}' + notes.read_text() + "{{ end }}")
            pathlib.Path(chart, "templates/notes.yaml").write_text('kind: Notes\napiVersion: v1\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n')
            notes.unlink()
            return parse(template("helm 4", *values, chart=chart)).of("Notes")[0]["text"]

    def test_say_what_is_left(self):
        notes = self.of(["-f", CI["many"]])
        for line in (
            "psql -h postgres -p 5432 -d stock -c \"SELECT pg_drop_replication_slot('stock_eu')\"",
            "psql -h pg-b -p 5432 -d billing -c \"SELECT pg_drop_replication_slot('pgspine_billing')\"",
            "kubectl -n data delete pvc r-pgspine-stock-eu-state",
            "kafka-topics.sh --bootstrap-server kafka-0.kafka:9092,kafka-1.kafka:9092 --delete --topic stock-eu.progress",
            "Bridge archive is paused", "kubectl -n data exec r-pgspine-shop-0 -- pgspine status", "helm -n data test r",
        ):
            self.assertIn(line, notes)
        self.assertNotIn("billing-state", notes, "a claim of the user's is not the chart's to delete")
        self.assertIn("Its state is an emptyDir", self.of(["-f", CI["emptydir"]]))

    def test_of_nothing(self):
        self.assertIn("No bridge yet", self.of([]))


if __name__ == "__main__":
    unittest.main()
