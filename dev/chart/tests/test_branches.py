"""Every branch of the templates is taken with some file of ci/.

A copy of the chart fails at the beginning of every branch. The first that a rendering meets is a branch that is taken:
its line goes back to what it was, and the rendering begins again, until it succeeds.
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
                        text = text[:at] + '{{ fail "§' + mark + '§" }}' + text[at:]
                file.write_text(text)
            for file in files:
                write(file)
            # Without values, with a release that is called like the chart, there is a branch or two as well.
            for release, *values in [("r", "-f", f) for f in reversed(CI.values())] + [("pgspine",)]:
                while True:
                    code, _, err = helm("helm 4", "template", release, "-n", "data", *values, chart=chart)
                    if code == 0:
                        break
                    marks = re.findall("§(.*?)§", err)
                    self.assertTrue(marks, err)
                    file, _ = pending.pop(marks[-1])
                    write(file)
            self.assertEqual(sorted(m.rsplit(":", 1)[0] for m in pending), [], "no file of ci/ takes these branches")


if __name__ == "__main__":
    unittest.main()
