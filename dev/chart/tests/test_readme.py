"""README.md is what values.yaml's comments say; every key of the schema is a key of values.yaml."""

import json
import subprocess
import sys
import unittest

import yaml

from chart import CHART, ROOT


class Documents(unittest.TestCase):
    def test_readme_is_current(self):
        done = subprocess.run([sys.executable, str(ROOT / "dev/chart/readme.py"), "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_schema_and_the_values_have_the_same_keys(self):
        schema = json.loads((CHART / "values.schema.json").read_text())

        def resolved(s):
            return schema["definitions"][s["$ref"].rsplit("/", 1)[1]] if "$ref" in s else s

        def compare(values, s, path):
            s = resolved(s)
            if "properties" not in s or path in ("defaults.config", "defaults.resources") or path.startswith("defaults.probes."):
                return
            known = set(s["properties"]) - ({"global"} if not path else set())
            if path.startswith("prometheusRule.alerts."):
                self.assertLessEqual(set(values), known)
                return
            if path.endswith(".resources"):
                return
            self.assertEqual(set(values), known, path)
            self.assertIs(s["additionalProperties"], False, path)
            for key, value in values.items():
                if isinstance(value, dict):
                    compare(value, s["properties"][key], f"{path}.{key}".strip("."))
        compare(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")

    def test_the_versions_are_one(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        cargo = (ROOT / "Cargo.toml").read_text()
        self.assertIn(f'version = "{chart["appVersion"]}"', cargo.splitlines())


if __name__ == "__main__":
    unittest.main()
