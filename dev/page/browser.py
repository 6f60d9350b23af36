"""What both layers share: Chromium, a server that speaks as the bridge does, and what must hold of the page in any state."""

import http.server
import json
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATES = ROOT / "tests/golden/status"
# What the bridge sends with its page.
POLICY = ("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
          "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


class Bridge:
    """Serves the shipped page at `/` and below `/some/bridge/`, and whatever `answer` holds as `/status`."""

    def __init__(self):
        self.answer = {}
        self.requests = 0
        bridge = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.removeprefix("/some/bridge")
                if path == "/":
                    return self.say(200, "text/html; charset=utf-8", (ROOT / "src/http/page.html").read_bytes())
                if path != "/status":
                    return self.say(404, "text/plain", b"no such page")
                bridge.requests += 1
                code, body = bridge.answer if isinstance(bridge.answer, tuple) else (200, json.dumps(bridge.answer))
                if code:
                    self.say(code, "application/json", body.encode())

            def say(self, code, kind, body):
                self.send_response(code)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.send_header("content-security-policy", POLICY)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def state(name):
    return json.loads((STATES / f"{name}.json").read_text())


def wait(what, level, limit=30.0):
    """Until `level` answers something true, which is returned."""
    end = time.monotonic() + limit
    while True:
        got = level()
        if got:
            return got
        assert time.monotonic() < end, f"waited {limit} s for {what}"
        time.sleep(0.05)


class Page:
    """A tab, with what it complained of."""

    def __init__(self, browser, url, viewport=DESK, **options):
        self.context = browser.new_context(viewport=viewport, timezone_id="UTC", **options)
        self.tab = self.context.new_page()
        self.complaints = []
        self.tab.on("pageerror", lambda e: self.complaints.append(f"error: {e}"))
        self.tab.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(f"{m.type}: {m.text}"))
        self.tab.on("dialog", lambda d: (self.complaints.append(f"dialog: {d.message}"), d.dismiss()))
        self.tab.goto(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def drawn(self):
        self.tab.wait_for_selector("#verdict:not([hidden])", timeout=20_000)
        return self

    def unfold(self):
        """Opens the details of each transform."""
        self.tab.evaluate("document.querySelectorAll('button.open[aria-expanded=false]').forEach(b => b.click())")

    def text(self, selector):
        return " ".join(self.tab.inner_text(selector).split())

    def until(self, selector, wanted, limit=30.0):
        """Until the text of this part contains something; the page asks more often than it would by itself."""
        def level():
            self.tab.evaluate("turn()")
            return wanted in self.text(selector)

        try:
            return wait(f"{wanted!r} in {selector}", level, limit)
        except AssertionError as e:
            raise AssertionError(f"{e}; it says {self.text(selector)!r}") from None

    def calm(self, expected=()):
        """No complaint but the expected ones."""
        left = [c for c in self.complaints if not any(e in c for e in expected)]
        assert not left, left

    def picture(self, folder, name, **options):
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.tab.evaluate("scrollTo(0, 0)")
            self.tab.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True, **options)


# What a checker of accessibility would find, as far as a script can: runs in the page, returns what is wrong.
AUDIT = r"""() => {
  const wrong = [];
  const visible = e => { const r = e.getBoundingClientRect(), s = getComputedStyle(e); return r.width > 1 && r.height > 1 && s.visibility !== "hidden" && s.display !== "none"; };
  const parse = c => { const m = c.match(/rgba?\(([^)]+)\)/); const p = m[1].split(/[, /]+/).map(Number); return { r: p[0], g: p[1], b: p[2], a: p[3] ?? 1 }; };
  const luminance = ({ r, g, b }) => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; if (c.a > 0) wrong.push("a background that is not opaque: " + e.id); } return { r: 255, g: 255, b: 255 }; };
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest("script, style, noscript, .sr, .skip") || !visible(e)) continue;
    texts++;
    const got = ratio(parse(getComputedStyle(e).color), behind(e));
    if (got < 4.5) wrong.push(`contrast ${got.toFixed(2)} of "${walker.currentNode.data.trim().slice(0, 40)}"`);
    if (parseFloat(getComputedStyle(e).fontSize) < 11.5) wrong.push(`too small: "${walker.currentNode.data.trim().slice(0, 40)}"`);
  }
  if (texts < 8) wrong.push(`only ${texts} texts`);
  // Signs that carry a meaning stand out from what is behind them.
  for (const svg of document.querySelectorAll("main svg")) {
    if (!visible(svg)) continue;
    const got = ratio(parse(getComputedStyle(svg).color), behind(svg.parentElement));
    if (got < 3) wrong.push(`contrast ${got.toFixed(2)} of a sign in ${svg.parentElement.className || svg.parentElement.id}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id stands twice");
  for (const a of ["aria-labelledby", "aria-controls"]) for (const e of document.querySelectorAll(`[${a}]`))
    for (const id of e.getAttribute(a).split(/\s+/)) if (!document.getElementById(id)) wrong.push(`${a} names ${id}, which is not there`);
  const name = e => (e.ariaLabel || e.labels?.[0]?.textContent || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent || (e.matches("input, progress") ? "" : e.textContent)).trim();
  for (const e of document.querySelectorAll("a, button, input, progress, section, summary, table")) if (visible(e) && !name(e)) wrong.push(`no name: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll("button, input")) {
    const r = e.getBoundingClientRect();
    if (visible(e) && r.height < 18) wrong.push(`hard to hit: ${name(e)} is ${r.height} px high`);
  }
  let before = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) { const n = +e.tagName[1]; if (!visible(e) && e.closest("[hidden]")) continue; if (n > before + 1) wrong.push(`${e.tagName} after H${before}`); before = n; }
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  for (const tag of ["header", "main", "footer"]) if (document.querySelectorAll(`body > ${tag}`).length !== 1) wrong.push(`not one ${tag}`);
  for (const t of document.querySelectorAll("table")) { if (!t.tHead?.rows[0] || [...t.tHead.rows[0].cells].some(c => c.tagName !== "TH" || c.scope !== "col" || !c.textContent.trim())) wrong.push("a table without headers"); }
  if (!document.documentElement.lang) wrong.push("no lang");
  if (!document.querySelector("[aria-live=polite]")) wrong.push("nothing is spoken");
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) wrong.push(`${wide} px too wide: ` + [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest(".sr")).map(e => e.tagName + "." + e.className).slice(0, 5));
  return wrong;
}"""


def audit(page, what):
    wrong = page.tab.evaluate(AUDIT)
    assert not wrong, f"{what}:\n  " + "\n  ".join(wrong[:20])
