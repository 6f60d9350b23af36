"""Every branch of the templates is taken with some file of ci/.

A copy of the chart leaves a mark at the beginning of every branch. Where another template reads what is rendered, it fails
there instead: the first such branch that a rendering meets is taken, goes back to what it was, and the rendering begins again.
"""

import pathlib
import re
import shutil
import tempfile
import unittest

from chart import CHART, CI, helm

BRANCH = re.compile(r"\{\{-?\s*(?:if|else if|else|with|range)\b[^}]*?-?\}\}")
# Branches that refuse belong to test_refused.
ONLY_REFUSES = re.compile(r"\s*\{\{-?\s*fail\b")


# What these render is read as JSON or YAML, so no mark may stand in it; or it is not shown.
READ = ("_bridges.tpl", "_toml.tpl", "_names.tpl", "_rules.tpl", "NOTES.txt")


class Branches(unittest.TestCase):
    def test_each_is_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(shutil.copytree(CHART, f"{folder}/pgspine"))
            files = {f: f.read_text() for f in sorted(chart.glob("templates/**/*")) if f.is_file() and f.name != "_guards.tpl"}
            pending = {}
            for file, text in files.items():
                for match in BRANCH.finditer(text):
                    if not ONLY_REFUSES.match(text, match.end()):
                        pending[f"{file.relative_to(chart)}:{text.count(chr(10), 0, match.start()) + 1}:{match.start()}"] = (file, match.end())
            self.assertGreater(len(pending), 120)

            def write(file):
                text = files[file]
                for mark, (of, at) in sorted(pending.items(), key=lambda p: -p[1][1]):
                    if of == file:
                        left = "§" + mark + "§"
                        text = text[:at] + ('{{ fail "' + left + '" }}' if file.name in READ else left) + text[at:]
                file.write_text(text)
            for file in files:
                write(file)
            # Without values, with a release that is called like the chart, there is a branch or two as well.
            for release, *values in [("r", "-f", f) for f in reversed(CI.values())] + [("pgspine",)]:
                while True:
                    # With --debug what is rendered is shown though it is no YAML.
                    _, out, err = helm("helm 4", "template", "--debug", release, "-n", "data", *values, chart=chart)
                    failed = [m for m in re.findall("§(.*?)§", err) if m in pending and pending[m][0].name in READ]
                    if not failed:
                        break
                    file, _ = pending.pop(failed[-1])
                    write(file)
                self.assertIn("§", out, err)
                for mark in set(re.findall("§(.*?)§", out)):
                    pending.pop(mark, None)
            self.assertEqual(sorted(m.rsplit(":", 1)[0] for m in pending), [], "no file of ci/ takes these branches")


if __name__ == "__main__":
    unittest.main()
