"""What every rendered object has to be, whatever the values say."""

import re
import unittest

from chart import CI, NAMESPACE, bridge, ci, ci_text, parse, render, shop

FIXED = {"config": "/etc/pgspine/pgspine.toml", "transforms": "/etc/pgspine/transforms", "state": "/var/lib/pgspine", "tmp": "/tmp"}


def every_pod():
    for name in CI:
        for what, metadata, spec in ci(name).pods():
            yield f"{name}: {what}", metadata, spec


def ours(spec):
    return next(c for c in spec["containers"] if c["name"] == "pgspine")


class EveryPod(unittest.TestCase):
    def test_there_are_some(self):
        self.assertGreater(len(list(every_pod())), 25)

    def test_is_restricted(self):
        for what, _, spec in every_pod():
            with self.subTest(what):
                pod = spec["securityContext"]
                self.assertEqual((pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]), (True, 10001, 10001, 10001))
                self.assertEqual(pod["seccompProfile"], {"type": "RuntimeDefault"})
                for key in ("hostNetwork", "hostPID", "hostIPC"):
                    self.assertNotIn(key, spec)
                for c in spec["containers"] + spec.get("initContainers", []):
                    self.assertEqual(c["securityContext"], {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True,
                        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}})
                kinds = {k for v in spec["volumes"] for k in v if k != "name"}
                self.assertLessEqual(kinds, {"configMap", "projected", "secret", "emptyDir", "persistentVolumeClaim", "image"})

    def test_has_nothing_of_the_kubernetes_api(self):
        for what, _, spec in every_pod():
            with self.subTest(what):
                self.assertIs(spec["automountServiceAccountToken"], False)
                self.assertIs(spec["enableServiceLinks"], False)
        for name in CI:
            for o in ci(name).of("ServiceAccount"):
                self.assertIs(o["automountServiceAccountToken"], False)
            self.assertNotRegex(ci_text(name), r"(?m)^kind: (Cluster)?Role")

    def test_mounts_what_the_configuration_names(self):
        for what, _, spec in every_pod():
            with self.subTest(what):
                mounts = {m["name"]: m for m in ours(spec)["volumeMounts"]}
                self.assertEqual(set(mounts), {v["name"] for v in spec["volumes"]})
                for name, path in FIXED.items():
                    if name != "state" or what.split(": ")[1].startswith("StatefulSet"):
                        self.assertEqual(mounts[name]["mountPath"], path)
                for name, mount in mounts.items():
                    self.assertEqual(mount.get("readOnly", False), name not in ("state", "tmp"), name)
                    # What follows a rotated Secret is no subPath.
                    self.assertTrue("subPath" not in mount or name in ("config", "transforms"), name)
                if not what.split(": ")[1].startswith("StatefulSet"):
                    self.assertNotIn("state", mounts, "a one-shot command never has the state")

    def test_every_file_that_the_toml_names_is_mounted(self):
        for name in CI:
            for what, _, spec in ci(name).pods():
                volumes = {v["name"]: v for v in spec["volumes"]}
                there = set()
                for mount in ours(spec)["volumeMounts"]:
                    volume = volumes[mount["name"]]
                    sources = [volume.get("secret", {})] if "secret" in volume else [next(iter(s.values())) for s in volume.get("projected", {}).get("sources", [])]
                    there |= {f"{mount['mountPath']}/{i['path']}" for s in sources for i in s.get("items", [])}
                toml = ci(name).get("ConfigMap", volumes["config"]["configMap"]["name"])["data"]["pgspine.toml"]
                named = set(re.findall(r"/etc/pgspine/(?:secrets|tls)/[\w/.]+", toml))
                with self.subTest(f"{name}: {what}"):
                    self.assertLessEqual(named, there)
                    self.assertEqual({t for t in there if "/secrets/" in t or "/tls/" in t}, named)

    def test_no_volume_is_named_twice_and_modes_are_for_the_group(self):
        for what, _, spec in every_pod():
            with self.subTest(what):
                names = [v["name"] for v in spec["volumes"]]
                self.assertEqual(len(names), len(set(names)))
                for v in spec["volumes"]:
                    if v["name"].startswith(("secrets-", "tls-")):
                        self.assertEqual(next(v[k] for k in ("secret", "projected") if k in v)["defaultMode"], 0o440)


class EveryBridge(unittest.TestCase):
    def sets(self):
        for name in CI:
            for o in ci(name).of("StatefulSet"):
                yield name, o

    def test_is_one_pod(self):
        for name, o in self.sets():
            with self.subTest(f"{name}: {o['metadata']['name']}"):
                self.assertEqual(o["spec"]["replicas"], 0 if o["metadata"]["name"] == "r-pgspine-archive" else 1)
                self.assertEqual(o["spec"]["updateStrategy"], {"type": "RollingUpdate"})
                # Else a rollback waits for ever for the broken pod that it is to replace.
                self.assertEqual(o["spec"]["podManagementPolicy"], "Parallel")
                self.assertNotIn("volumeClaimTemplates", o["spec"])
                self.assertGreaterEqual(o["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 15)

    def test_is_spread_as_the_values_say(self):
        spread = ci("production").get("StatefulSet", "r-pgspine-audit")["spec"]["template"]["spec"]["topologySpreadConstraints"]
        self.assertEqual([c["labelSelector"]["matchLabels"] for c in spread], [
            {"app.kubernetes.io/name": "pgspine", "app.kubernetes.io/instance": "r"}, {"app.kubernetes.io/name": "pgspine"}])
        self.assertNotIn("topologySpreadConstraints", ci("many").get("StatefulSet", "r-pgspine-stock-eu")["spec"]["template"]["spec"])

    def test_is_probed(self):
        for name, o in self.sets():
            c = ours(o["spec"]["template"]["spec"])
            paths = {k: c[f"{k}Probe"]["httpGet"] for k in ("startup", "liveness", "readiness")}
            self.assertEqual(paths, {
                "startup": {"path": "/livez", "port": "http"}, "liveness": {"path": "/livez", "port": "http"},
                "readiness": {"path": "/readyz", "port": "http"}})
            self.assertEqual(c["ports"], [{"name": "http", "containerPort": 8080, "protocol": "TCP"}])
            self.assertEqual((c["args"], c["terminationMessagePolicy"]), (["run"], "FallbackToLogsOnError"))

    def test_has_a_headless_service_that_finds_it_always(self):
        for name, o in self.sets():
            service = ci(name).get("Service", o["spec"]["serviceName"])["spec"]
            self.assertEqual((service["clusterIP"], service["publishNotReadyAddresses"]), ("None", True))
            labels = o["spec"]["template"]["metadata"]["labels"]
            self.assertLessEqual(service["selector"].items(), labels.items())
            self.assertEqual(service["selector"], o["spec"]["selector"]["matchLabels"])

    def test_selects_no_other_bridges_pod(self):
        for name in CI:
            pods = list(ci(name).pods())
            for o in ci(name).of("StatefulSet"):
                selector = o["spec"]["selector"]["matchLabels"]
                found = [what for what, metadata, _ in pods if selector.items() <= metadata.get("labels", {}).items()]
                self.assertEqual(found, [f"StatefulSet {o['metadata']['name']}"])

    def test_fixed_keys_of_the_toml(self):
        for name, o in self.sets():
            toml = ci(name).get("ConfigMap", f"{o['metadata']['name']}-config")["data"]["pgspine.toml"]
            labelled = o["metadata"]["labels"]["pgspine/bridge"]
            for line in (f'name = "{labelled}"', 'on_halt = "stay"', 'state_dir = "/var/lib/pgspine"', 'transforms = "/etc/pgspine/transforms"', 'listen = "0.0.0.0:8080"'):
                self.assertIn(line, toml.splitlines())

    def test_state_is_kept_and_can_grow(self):
        claims = [o for name in CI for o in ci(name).of("PersistentVolumeClaim")]
        self.assertGreater(len(claims), 5)
        for o in claims:
            self.assertEqual(o["metadata"]["annotations"]["helm.sh/resource-policy"], "keep")
        def spec(size):
            return render(shop(state={"size": size}))
        small, large = spec("1Gi"), spec("2Gi")
        self.assertEqual(large.get("PersistentVolumeClaim", "r-pgspine-shop-state")["spec"]["resources"]["requests"]["storage"], "2Gi")
        self.assertEqual(small.of("StatefulSet"), large.of("StatefulSet"), "growing restarts nothing")

    def test_where_the_state_is(self):
        def volume(name, bridge):
            spec = ci(name).get("StatefulSet", bridge)["spec"]["template"]["spec"]
            return next(v for v in spec["volumes"] if v["name"] == "state")
        self.assertEqual(volume("minimal", "r-pgspine-shop")["persistentVolumeClaim"], {"claimName": "r-pgspine-shop-state"})
        self.assertEqual(volume("many", "r-pgspine-billing")["persistentVolumeClaim"], {"claimName": "billing-state"})
        self.assertEqual(volume("emptydir", "r-bridge-shop")["emptyDir"], {"sizeLimit": "2Gi"})
        self.assertEqual(volume("emptydir", "r-bridge-memory")["emptyDir"], {"medium": "Memory", "sizeLimit": "128Mi"})
        self.assertEqual(volume("emptydir", "r-bridge-plain")["emptyDir"], {})
        self.assertEqual(ci("emptydir").of("PersistentVolumeClaim"), [])
        classes = {o["metadata"]["name"]: o["spec"].get("storageClassName") for o in ci("many").of("PersistentVolumeClaim")}
        self.assertEqual(classes, {"r-pgspine-shop-state": "", "r-pgspine-stock-eu-state": "fast", "r-pgspine-archive-state": ""})


class EveryObject(unittest.TestCase):
    def test_is_named_once_and_where_it_belongs(self):
        for name in CI:
            seen = [(o["kind"], o["metadata"].get("namespace", NAMESPACE), o["metadata"]["name"]) for o in ci(name)]
            self.assertEqual(len(seen), len(set(seen)), name)
            for kind, namespace, _ in seen:
                self.assertIn(namespace, (NAMESPACE, "monitoring"))
                self.assertTrue(namespace == NAMESPACE or kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule", "ConfigMap"))

    def test_common_labels_and_annotations(self):
        for o in ci("production"):
            if o["metadata"]["name"] in ("r-orders-more", "r-pgspine-text"):
                continue
            self.assertEqual(o["metadata"]["labels"]["cost-center"], "42", o["metadata"])
            self.assertEqual(o["metadata"]["annotations"]["owner"], "data-platform", o["metadata"])
            self.assertEqual(o["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm")

    def test_nothing_secret_is_in_it(self):
        for name in CI:
            self.assertEqual(ci(name).of("Secret"), [])

    def test_a_change_of_version_alone_changes_no_selector(self):
        for name in CI:
            for o in ci(name).of("StatefulSet"):
                self.assertFalse({"helm.sh/chart", "app.kubernetes.io/version"} & set(o["spec"]["template"]["metadata"]["labels"]))

    def test_underscore_in_a_name(self):
        objects = parse(ci_text("many"))
        o = objects.get("StatefulSet", "r-pgspine-stock-eu")
        self.assertEqual(o["spec"]["selector"]["matchLabels"]["pgspine/bridge"], "stock_eu")
        longest = {"bridges": {"a" * 42: bridge()}}
        self.assertEqual(len(render(longest).of("StatefulSet")[0]["metadata"]["name"]), 52)
        self.assertLessEqual(max(len(o["metadata"]["name"]) for o in render(longest).of("Job")), 63)


if __name__ == "__main__":
    unittest.main()
