"""The chart under Helm 3 and Helm 4: rendered once for each set of values, as text and as objects."""

import concurrent.futures
import functools
import glob
import json
import os
import pathlib
import subprocess

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ROOT = pathlib.Path(__file__).resolve().parents[3]
CHART = ROOT / "helm" / "pgspine"
HELMS = {"helm 3": os.environ["HELM3"], "helm 4": os.environ["HELM4"]}
CI = {pathlib.Path(f).name.removesuffix("-values.yaml"): f for f in sorted(glob.glob(f"{CHART}/ci/*-values.yaml"))}
RELEASE, NAMESPACE = "r", "data"


def helm(which, *arguments, values=None, chart=CHART):
    """Exit code, output and errors of a command over the chart, `values` laid over it."""
    command = [HELMS[which], *arguments, str(chart)]
    stdin = None
    if values is not None:
        command += ["-f", "-"]
        stdin = json.dumps(values, ensure_ascii=False)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def template(which, *arguments, values=None, chart=CHART):
    code, out, err = helm(which, "template", RELEASE, "-n", NAMESPACE, *arguments, values=values, chart=chart)
    if code:
        raise AssertionError(f"{which}: {err}")
    return out


@functools.cache
def ci_text(name, which="helm 3", *arguments):
    return template(which, *arguments, "-f", CI[name])


def at_once(function, wanted):
    """The results of function(*arguments) for each of `wanted`; Helm has a process of its own each time."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda arguments: function(*arguments), wanted))


class Objects(list):
    """Rendered objects, found by kind and by what their name ends with."""

    def of(self, kind):
        return [o for o in self if o["kind"] == kind]

    def get(self, kind, name):
        found = [o for o in self.of(kind) if o["metadata"]["name"] == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} objects {kind} {name} of {[o['metadata']['name'] for o in self.of(kind)]}")
        return found[0]

    def pods(self):
        """(what it belongs to, metadata, spec) of every pod."""
        for o in self:
            if o["kind"] == "Pod":
                yield f"Pod {o['metadata']['name']}", o["metadata"], o["spec"]
            elif o["kind"] in ("StatefulSet", "Job"):
                t = o["spec"]["template"]
                yield f"{o['kind']} {o['metadata']['name']}", t["metadata"], t["spec"]


def parse(text):
    return Objects(o for o in yaml.load_all(text, LOADER) if o)


@functools.cache
def ci(name):
    return parse(ci_text(name))


def render(values, *arguments):
    return parse(template("helm 3", *arguments, values=values))


PRODUCT_SQL = """/* pgspine
topic = "shop.product.v1"
key   = ["product_id"]
*/
SELECT p.id AS product_id, p.title AS title FROM shop.products AS p;
"""
PRODUCT_AVSC = """{"type": "record", "name": "Product", "namespace": "shop", "fields": [
  {"name": "product_id", "type": "long"}, {"name": "title", "type": "string"}]}
"""


def bridge(url="postgres://pgspine@postgres:5432/shop", **more):
    """The values of a small bridge; `more` is laid over it, key by key; None takes one away."""
    base = {
        "config": {"postgres": {"url": url}, "kafka": {"bootstrap_servers": "kafka:9092"}, "registry": {"url": "http://registry:8081"}},
        "secrets": {"postgres": {"existingSecret": "shop-postgres"}},
        "transforms": {"inline": {"shop/product.sql": PRODUCT_SQL, "shop/product.avsc": PRODUCT_AVSC}},
    }
    return laid_over(base, more)


def laid_over(base, over):
    both = dict(base)
    for key, value in over.items():
        if value is None:
            del both[key]
            continue
        both[key] = laid_over(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


def shop(**more):
    return {"bridges": {"shop": bridge(**more)}}


def toml_text(objects, name):
    return objects.get("ConfigMap", f"{name}-config")["data"]["pgspine.toml"]
