"""Every set of values in ci/ renders, the same under both Helms, to objects that Kubernetes and the operator know."""

import functools
import json
import unittest

import jsonschema
import kubernetes_validate.utils

from chart import CI, HELMS, ROOT, at_once, ci, ci_text, helm, parse, template

# It reads all of Kubernetes's definitions again for each object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

VERSIONS = ["1.25.0", "1.29.0", "1.33.0", "1.37.0"]
# Image volumes are in the API from 1.31 on.
SINCE = {"image-volume": "1.33.0"}
KINDS = ["PodMonitor", "ServiceMonitor", "PrometheusRule"]


def strict(schema):
    """The API server drops what a schema does not name; here it is an error."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: strict(v) for k, v in schema.items()}
    if "properties" in out and "additionalProperties" not in out and not out.get("x-kubernetes-preserve-unknown-fields"):
        out["additionalProperties"] = False
    if out.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
    # Go has flags within an expression, Python only before it.
    if isinstance(out.get("pattern"), str) and "^(?i)" in out["pattern"]:
        out["pattern"] = out["pattern"].replace("^(?i)", "(?i)^")
    return out


def own_schema(kind):
    schema = strict(json.loads((ROOT / "dev/chart/crds" / f"{kind.lower()}.json").read_text()))
    # The metadata is Kubernetes's, of which a resource definition says nothing.
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


class Schemas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        wanted = [(name, "helm 4", "--kube-version", v) for name in CI for v in VERSIONS if v >= SINCE.get(name, "")]
        at_once(ci_text, wanted + [(name, which) for name in CI for which in HELMS])

    def test_lint(self):
        wanted = [(which, "lint", "--strict", *more) for which in HELMS for more in [[], *(["-f", f] for f in CI.values())]]
        for arguments, (code, out, err) in zip(wanted, at_once(helm, wanted)):
            with self.subTest(" ".join(arguments)):
                self.assertEqual(code, 0, out + err)

    def test_both_helms_render_the_same(self):
        for name in CI:
            with self.subTest(values=name):
                self.assertEqual(ci_text(name, "helm 3"), ci_text(name, "helm 4"))

    def test_both_helms_render_the_same_of_nothing(self):
        self.assertEqual(template("helm 3"), template("helm 4"))

    def test_kubernetes_knows_every_field(self):
        for name in CI:
            for version in VERSIONS:
                if version < SINCE.get(name, ""):
                    continue
                for o in parse(ci_text(name, "helm 4", "--kube-version", version)):
                    with self.subTest(values=name, version=version, object=f"{o['kind']} {o['metadata']['name']}"):
                        if o["kind"] not in KINDS:
                            kubernetes_validate.validate(o, version, strict=True)

    def test_the_schemas_do_refuse(self):
        o = json.loads(json.dumps(ci("minimal").of("StatefulSet")[0]))
        o["spec"]["template"]["spec"]["containers"][0]["imagPullPolicy"] = "Always"
        for version in VERSIONS:
            with self.assertRaises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(o, version, strict=True)
        o = json.loads(json.dumps(ci("production").of("PodMonitor")[0]))
        o["spec"]["podMetricsEndpoints"][0]["pth"] = "/metrics"
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate(o, own_schema("PodMonitor"))

    def test_the_operator_knows_every_field(self):
        seen = set()
        for name in CI:
            for kind in KINDS:
                for o in ci(name).of(kind):
                    seen.add(kind)
                    jsonschema.validate(o, own_schema(kind))
        self.assertEqual(seen, set(KINDS), "ci/ has one of each")


if __name__ == "__main__":
    unittest.main()
