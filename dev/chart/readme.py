"""helm/pgspine/README.md out of values.yaml: each key with a comment `# -- …` above it, its default and the comment.

A key without a comment, and without a documented one above it, is an error. `--check` compares instead of writing.
"""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "helm" / "pgspine"
HEAD = """# pgspine

{description}

Chart {version} for pgspine {app}, Kubernetes {kubernetes}, Helm 3 and 4. How it is used: [docs/helm.md](../../docs/helm.md).

```sh
helm install shop helm/pgspine -n data -f values.yaml --wait
```

The smallest values (`ci/minimal-values.yaml`; the other files in `ci/` show the rest):

```yaml
{minimal}```

## Values

Every key of `defaults` may stand in each bridge as well. Unknown keys are refused. This file is made from the comments of
`values.yaml` by `dev/chart/readme`.

| key | default | |
|---|---|---|
"""


def documented(text):
    """(path, comment) of each key that has one, in the file's order; and the paths of all keys."""
    stack, comment, found, paths = [], None, [], []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = stripped[5:]
        elif stripped.startswith("#"):
            if comment is not None and stripped.startswith("# "):
                comment += " " + stripped[2:]
        elif key := re.match(r"( *)([A-Za-z][\w.]*):(\s|$)", line):
            depth = len(key[1]) // 2
            stack = stack[:depth] + [key[2]]
            paths.append(tuple(stack))
            if comment is not None:
                found.append((tuple(stack), comment))
            comment = None
        elif stripped.startswith("- ") or re.match(r"\w+:", stripped):
            continue
        elif not stripped:
            comment = None
        else:
            raise SystemExit(f"values.yaml:{number}: {line!r} is not understood")
    return found, paths


def at(values, path):
    for key in path:
        values = values[key]
    return values


def readme():
    text = (CHART / "values.yaml").read_text()
    values, chart = yaml.safe_load(text), yaml.safe_load((CHART / "Chart.yaml").read_text())
    found, paths = documented(text)
    covered = {path for path, _ in found}
    # A list item's keys look like keys of the file; they are below the list's own, documented one.
    bare = [p for p in paths if not any(p[:n] in covered for n in range(1, len(p) + 1)) and not any(q[:len(p)] == p for q in covered)]
    if bare:
        raise SystemExit("values.yaml: no comment at " + ", ".join(".".join(p) for p in bare))
    out = HEAD.format(description=chart["description"], version=chart["version"], app=chart["appVersion"],
                      kubernetes=chart["kubeVersion"].removesuffix("-0"), minimal=(CHART / "ci/minimal-values.yaml").read_text().split("\n", 1)[1])
    for path, comment in found:
        default = json.dumps(at(values, path), ensure_ascii=False).replace("|", "\\|")
        default = default if len(default) < 140 else "see values.yaml"
        out += f"| `{'.'.join(path)}` | `{default}` | {comment.replace('|', chr(92) + '|')} |\n"
    return out


if __name__ == "__main__":
    target = CHART / "README.md"
    if "--check" not in sys.argv:
        target.write_text(readme())
    elif not target.exists() or target.read_text() != readme():
        raise SystemExit("helm/pgspine/README.md is not what values.yaml says; run dev/chart/readme")
