"""The status page in Chromium: each state's document, then what a document must not be able to do."""

import argparse
import copy
import json
import re
import sys
import time
import traceback

import jsonschema
from playwright.sync_api import sync_playwright

from browser import DESK, PHONE, ROOT, STATES, Bridge, Page, audit, state, wait

# Of each state: the level's word, and what must be read on the page beside the document's own sentences.
EXPECTED = {
    "starting": ("Notice", ["Starting for "]),
    "loading": ("Notice", ["Under way", "of 5,100,000 rows", "Loading for "]),
    "streaming": ("OK", ["Streaming for ", "from commit to Kafka"]),
    "kafka-away": ("Critical", ["Deadline: "]),
    "postgres-away": (None, ["PostgreSQL"]),
    "slot-lost": ("Critical", ["Stopped for ", "The slot is lost", "gap:"]),
    "fenced": ("Critical", ["Stopped for ", "generation"]),
    "drift": ("Critical", ["Stopped for ", "Deadline: ", "in 3 h 10 min", "594 MB"]),
    "paused": (None, ["Paused.", "pgspine resume"]),
    "dead-letters": ("Warning", ["3", "4"]),
}
SIGNS = {"ok": ("✓", "OK"), "notice": ("i", "Notice"), "warning": ("!", "Warning"), "critical": ("✕", "Critical")}
LOOKS = [("light", DESK, {}), ("phone-dark", PHONE, {"color_scheme": "dark", "has_touch": True}), ("tablet", {"width": 820, "height": 1100}, {})]
# Where pictures are kept: the other two as well.
MORE = [("dark", DESK, {"color_scheme": "dark"}), ("phone", PHONE, {})]


def plain(text):
    return " ".join(str(text).replace("`", "").split())


def shows(page, doc, what):
    """Everything that the document says stands on the page."""
    seen = page.text("body")
    verdict, (sign, word) = doc["verdict"], SIGNS[doc["verdict"]["level"]]
    assert page.text("#verdict-say") == plain(verdict["text"]), what
    assert page.text("#verdict-h").startswith(word), what
    assert page.tab.title() == f"{sign} {word} · {doc['bridge']} · pgspine", page.tab.title()
    assert page.tab.get_attribute("#verdict-icon", "href") == f"#i-{verdict['level']}", what
    # The live region says the same, but does not follow the numbers.
    gist = lambda text: re.sub(r"[\d.,]+", "#", text)
    assert gist(page.tab.text_content("#say")) == gist(f"{word}: {verdict['text']}"), (what, page.tab.text_content("#say"))
    wanted = [verdict["remedy"], verdict["runbook"], doc["bridge"], doc["build"]["version"], doc["build"]["revision"]]
    for c in doc["checks"]:
        wanted += [c["title"], c["message"], c["remedy"]]
        row = page.tab.locator("#checks li", has=page.tab.get_by_text(c["title"], exact=True)).first
        assert c["state"] in row.get_attribute("class"), (what, c["name"])
        wanted += [c["runbook"]] if c["state"] != "ok" else []
    wanted += [p for p in doc["positions"].values() if p and p != "0/0"]
    wanted += [doc["slot"]["name"], doc["slot"]["wal_status"]] if doc["slot"] else []
    for name, t in doc["transforms"].items():
        wanted += [name, t["topic"], t["state"]] + ([f"v{t['contract']['version']}"] if t["contract"]["version"] else [])
    wanted += [doc["problem"]["code"]] if doc["problem"] else []
    wanted += [m for e in doc["events"] for m in (e.get("code"), e.get("message")) if m]
    missing = [w for w in wanted if w and plain(w) not in seen]
    assert not missing, f"{what} does not show {missing}\n{seen}"
    rows = page.tab.locator("#log tbody tr").count()
    assert rows == min(50, len(doc["events"])), (what, rows)
    assert page.tab.is_visible("#paused") == doc["paused"], what


def each_state(browser, bridge, images):
    names = sorted(p.stem for p in STATES.glob("*.json"))
    assert set(EXPECTED) <= set(names), f"no document for {set(EXPECTED) - set(names)}"
    for look, viewport, options in LOOKS + (MORE if images else []):
        with Page(browser, bridge.url, viewport, **options) as page:
            for name in names:
                doc = bridge.answer = state(name)
                page.until("#verdict-say", plain(doc["verdict"]["text"]))
                shows(page, doc, f"{name}, {look}")
                word, wanted = EXPECTED.get(name, (None, []))
                assert word in (None, SIGNS[doc["verdict"]["level"]][1]), name
                for text in wanted:
                    assert text in page.text("main") + page.text("header"), (name, text)
                page.unfold()
                sources = page.text("#transforms")
                for t in doc["transforms"].values():
                    for s in t["sources"]:
                        assert s["table"] in sources and ", ".join(s["columns"]) in sources, (name, s)
                audit(page, f"{name}, {look}")
                page.picture(images, f"{name}-{look}")
            page.calm()


def documents_fit_the_schema(*_):
    schema = json.loads((ROOT / "docs/status.schema.json").read_text())
    for path in STATES.glob("*.json"):
        jsonschema.validate(json.loads(path.read_text()), schema)
    for doc in (huge(), working(), hostile()):
        jsonschema.validate(doc, schema)


def working():
    """Everything that can be under way, at once."""
    doc = state("loading")
    doc["transforms"] = state("streaming")["transforms"]
    names = list(doc["transforms"])
    doc["transforms"][names[0]].update(state="reconciling", reconcile_keys_remaining=8200)
    doc["transaction"] = {"end_lsn": "0/5F2A9F8", "what": "evaluating", "transform": names[1], "done": 182000, "of": 420000, "parts": 3}
    return doc


def progress(browser, bridge, images):
    bridge.answer = working()
    with Page(browser, bridge.url) as page:
        page.drawn()
        bars = page.tab.eval_on_selector_all("#work progress", "all => all.map(p => [p.value, p.max])")
        assert [1240000, 5100000] in bars and [182000, 420000] in bars, bars
        for text in ("24 %", "31,000 rows/s", "2 min 5 s left for it", "8,200 keys to go", "182,000 of 420,000", "43 %", "3 parts in Kafka"):
            assert text in page.text("#work"), (text, page.text("#work"))
        # An estimate that was too low, and one that is not there.
        bridge.answer = working()
        bridge.answer["loading"].update(rows=6_000_000)
        page.until("#work", "6,000,000 of 5,100,000 rows (estimated), 100 %")
        bridge.answer = working()
        bridge.answer["loading"].update(estimated_rows=None, seconds_left=None, rows_per_second=None)
        page.until("#work", "1,240,000 rows")
        bridge.answer = state("streaming")
        page.until("#verdict-h", "OK")
        assert not page.tab.is_visible("#work")
        page.calm()


def no_answer(browser, bridge, images):
    """The last picture stays, and is called what it is."""
    bridge.answer = (502, "<h1>bad gateway</h1>")
    with Page(browser, bridge.url) as page:
        page.until("#lost", "HTTP 502")
        assert "There is no picture yet" in page.text("#lost"), page.text("#lost")
        assert not page.tab.is_visible("#verdict")
        assert page.tab.title() == "? No answer · pgspine", page.tab.title()
        bridge.answer = state("drift")
        page.drawn()
        wait("the end of the banner", lambda: not page.tab.is_visible("#lost"))
        for answer, why in (((502, "x"), "HTTP 502"), ((200, "<html>login</html>"), "not JSON"), ((200, "[1]"), "no status"), ((0, ""), "connection failed")):
            bridge.answer = answer
            page.until("#lost", why)
            assert page.text("#verdict-say") == state("drift")["verdict"]["text"]
            assert page.tab.is_visible("#verdict") and "stale" in page.tab.get_attribute("#verdict", "class")
            assert page.tab.title() == "? No answer · shop · pgspine"
            assert page.tab.text_content("#say") == "No answer from the bridge."
            if why == "HTTP 502":
                audit(page, "no answer")
                page.picture(images, "no-answer-light")
        first = page.text("#lost-say")
        assert re.match(r"No answer for \d+ s\. Below is the picture of \d\d:\d\d:\d\d\.", first), first
        wait("the age to grow", lambda: page.text("#lost-say") != first)
        bridge.answer = state("streaming")
        page.until("#verdict-h", "OK")
        wait("the end of the banner", lambda: not page.tab.is_visible("#lost"))
        assert "stale" not in page.tab.get_attribute("#verdict", "class")
        page.calm(["Failed to load resource"])


def huge():
    """200 transforms, names of 200 characters, 50 events, numbers of 15 digits."""
    doc = state("streaming")
    pattern = next(iter(doc["transforms"].values()))
    doc["bridge"] = "b" * 200
    doc["transforms"] = {}
    for i in range(200):
        t = copy.deepcopy(pattern)
        name = f"area_{i:03}/" + ("x" * 191 if i % 2 else "several-words-in-one-name/" * 8)[:191]
        t.update(topic="t." + name, upserts=10 ** 14, suppressed=10 ** 14, upserts_per_minute=123456789.5)
        t["sources"] = [{"table": "s." + "table" * 39, "columns": [f"column_{j}_" + "c" * 60 for j in range(40)]}]
        doc["transforms"][name] = t
    doc["transforms"]["area_150/" + "x" * 0] = copy.deepcopy(pattern)
    list(doc["transforms"].values())[77].update(errors=10 ** 9, quarantined_keys=10 ** 9, dead_letters=10 ** 9)
    doc["checks"][0]["message"] = "m" * 500
    doc["verdict"]["text"] = "word " * 60 + "w" * 200
    doc["slot"].update(name="s" * 63, retained_wal_bytes=10 ** 15, safe_wal_bytes=10 ** 15)
    doc["events"] = [{"at": doc["now"], "event": "problem", "code": "PGS8009", "message": "e" * 300} for _ in range(50)]
    return doc


def huge_stays_usable(browser, bridge, images):
    bridge.answer = huge()
    for look, viewport, options in LOOKS:
        with Page(browser, bridge.url, viewport, **options) as page:
            page.drawn()
            audit(page, f"huge, {look}")
            assert page.tab.locator("#list > tbody").count() == 201
            # What is wrong stands first, wherever it is by name.
            assert "area_077/" in page.tab.locator("#list > tbody").first.inner_text()
            assert "area_000/" in page.tab.locator("#list > tbody").nth(1).inner_text()
            page.tab.fill("#filter", "AREA_15")
            assert "10 of 201" in page.text("#transforms-h") or "11 of 201" in page.text("#transforms-h"), page.text("#transforms-h")
            assert page.tab.locator("#list > tbody:visible").count() == 11
            page.tab.fill("#filter", "no such thing")
            assert page.text("#nothing") == "No transform fits."
            page.tab.fill("#filter", "")
            assert page.tab.locator("#list > tbody:visible").count() == 201
            page.tab.locator("button.open").nth(1).click()
            audit(page, f"huge and open, {look}")
            # Drawing it again takes no time, and opens and closes nothing.
            spent = page.tab.evaluate("doc => { const t = performance.now(); for (let i = 0; i < 5; i++) draw(doc); return (performance.now() - t) / 5; }", bridge.answer)
            assert spent < 400, f"{spent} ms"
            assert page.tab.locator("tr.more:visible").count() == 1
            page.picture(images, f"huge-{look}", clip={"x": 0, "y": 0, "width": viewport["width"], "height": 2400})
            page.calm()


PAYLOAD = "<img src=x onerror=pwned=1>\"'><script>pwned=1</script><svg onload=pwned=1>javascript:pwned=1"


def hostile():
    """Each text that can be any text is one that wants to be more than text."""
    doc = state("drift")
    doc["bridge"] = doc["build"]["version"] = doc["build"]["revision"] = PAYLOAD
    for key in ("text", "remedy"):
        doc["verdict"][key] = PAYLOAD + " `" + PAYLOAD + "`"
    doc["verdict"]["runbook"] = "javascript:pwned=1"
    for c in doc["checks"]:
        c.update(title=PAYLOAD, message=PAYLOAD, remedy=PAYLOAD, runbook="javascript:pwned=1", state="critical")
    doc["slot"]["name"] = PAYLOAD
    doc["problem"].update(code=PAYLOAD, message=PAYLOAD, help=PAYLOAD)
    doc["loading"] = dict(state("loading")["loading"], table=PAYLOAD)
    pattern = next(iter(doc["transforms"].values()))
    pattern["sources"] = [{"table": PAYLOAD, "columns": [PAYLOAD]}]
    pattern.update(topic=PAYLOAD, contract={"subject": PAYLOAD, "version": 1, "schema_id": 1})
    doc["transforms"] = {PAYLOAD: pattern, "__proto__": copy.deepcopy(pattern), "constructor": copy.deepcopy(pattern), "toString": copy.deepcopy(pattern)}
    doc["events"] = [{"at": doc["now"], "event": "problem", "code": PAYLOAD, "message": PAYLOAD}]
    return doc


def text_stays_text(browser, bridge, images):
    doc = hostile()
    # Beyond what the schema allows: words where the page looks something up.
    beyond = copy.deepcopy(doc)
    beyond["state"] = "constructor"
    beyond["verdict"]["level"] = "ok\" onload=pwned=1"
    for c in beyond["checks"]:
        c["state"] = "__proto__"
    beyond["slot"]["wal_status"] = "toString"
    beyond["events"][0][PAYLOAD] = {"a": [PAYLOAD]}
    with Page(browser, bridge.url) as page:
        for answer in (doc, beyond):
            bridge.answer = answer
            page.tab.goto(bridge.url)
            page.drawn()
            page.unfold()
            got = page.tab.evaluate("""() => ({
                made: document.querySelectorAll("main img, main script, main iframe, main [onerror], main [onload], main [style], a[href^=javascript]").length,
                pwned: typeof pwned, scripts: document.scripts.length, bodies: document.querySelectorAll("#list > tbody").length })""")
            assert got == {"made": 0, "pwned": "undefined", "scripts": 1, "bodies": 4}, got
            assert page.text("#bridge") == plain(PAYLOAD) and PAYLOAD in page.tab.title()
            assert page.tab.inner_text("#verdict-say").count("<img src=x onerror=pwned=1>") == 2
            assert not page.tab.is_visible("#lost"), page.text("#lost")
            audit(page, "hostile")
        page.calm()


def old_bridge(browser, bridge, images):
    """A bridge of before the verdict: what it says is shown, and nothing that it does not say."""
    def old(name):
        doc = state(name)
        for key in ("verdict", "checks", "distances", "build", "started", "now"):
            del doc[key]
        del doc["positions"]["wal"]
        for key in ("wal_bytes_per_second", "exhausted_in_seconds", "exhausted_at"):
            (doc["slot"] or {}).pop(key, None)
        for t in doc["transforms"].values():
            for key in ("contract", "upserts_per_minute", "tombstones_per_minute", "events_per_minute", "last_record", "sources"):
                del t[key]
        (doc["problem"] or {}).pop("exit", None)
        return doc
    for _, viewport, options in LOOKS[:2]:
        with Page(browser, bridge.url, viewport, **options) as page:
            for name, word, text in (("streaming", "OK", "Streaming"), ("drift", "Critical", "Stopped: table"), ("postgres-away", "Warning", "Tried again: "),
                                     ("starting", "Notice", "Starting"), ("loading", "Notice", "Loading"), ("slot-lost", "Critical", "Stopped: the WAL")):
                bridge.answer = old(name)
                page.until("#verdict-say", text)
                assert page.text("#verdict-h").startswith(word), (name, page.text("#verdict"))
                if name == "drift":
                    assert "adapt the transform" in page.text("#verdict-remedy")
                    page.unfold()
                    assert "crm.customers" in page.text("#transforms") and "2.1 kB" in page.text("#positions")
                for word in ("undefined", "NaN", "null"):
                    assert word not in page.text("body"), (name, word)
                audit(page, f"old {name}")
            page.calm()


def sparse(browser, bridge, images):
    """Nothing is taken for granted, and what cannot be drawn is said to be so."""
    empty = {"bridge": "shop", "state": None, "slot": None, "problem": None, "verdict": None, "checks": None, "positions": None, "transforms": {}, "events": []}
    with Page(browser, bridge.url) as page:
        for answer in ({}, empty):
            bridge.answer = answer
            page.tab.goto(bridge.url)
            page.drawn()
            assert not page.tab.is_visible("#lost"), page.text("#lost")
            assert "undefined" not in page.text("body") and "NaN" not in page.text("body")
        bridge.answer = {"transforms": {"a": None}}
        page.until("#lost", "cannot draw")
        page.calm()


def by_keyboard(browser, bridge, images):
    bridge.answer = state("drift")
    bridge.answer["transforms"].update({f"more/{i}": copy.deepcopy(bridge.answer["transforms"]["shop/order"]) for i in range(12)})
    with Page(browser, bridge.url) as page:
        page.drawn()
        walked = []
        for _ in range(40):
            page.tab.keyboard.press("Tab")
            at = page.tab.evaluate("""() => { const e = document.activeElement, s = getComputedStyle(e);
                return e === document.body ? null : { what: e.id || e.className || e.getAttribute("href"), seen: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && e.getBoundingClientRect().top >= -1 }; }""")
            if at is None:
                break
            assert at["seen"], f"the focus on {at['what']} is not seen"
            walked.append(at["what"])
        assert walked == ["skip", "filter"] + ["open"] * 15 + ["status", "metrics"], walked
        page.tab.keyboard.press("Tab")
        page.tab.locator(".skip").focus()
        page.tab.keyboard.press("Enter")
        assert page.tab.evaluate("document.activeElement.id") == "transforms"
        for key in ("Enter", "Space"):
            button = page.tab.locator("button.open").nth(3)
            button.focus()
            page.tab.keyboard.press(key)
            opened = key == "Enter"
            assert button.get_attribute("aria-expanded") == str(opened).lower()
            detail = page.tab.locator("#" + button.get_attribute("aria-controls"))
            assert detail.is_visible() == opened
        # A new drawing takes neither the focus nor what is open.
        page.tab.keyboard.press("Enter")
        before = bridge.requests
        bridge.answer["transforms"] = dict(reversed(bridge.answer["transforms"].items()))
        bridge.answer["transforms"]["shop/order"]["state"] = "live"
        wait("two more drawings", lambda: bridge.requests >= before + 2)
        assert page.tab.evaluate("document.activeElement.className") == "open"
        assert page.tab.locator("tr.more:visible").count() == 1
        page.calm()


def spoken_and_ticking(browser, bridge, images):
    bridge.answer = state("drift")
    with Page(browser, bridge.url) as page:
        page.drawn()
        page.tab.evaluate("() => { said = 0; new MutationObserver(m => said += m.length).observe($('say'), { childList: true, characterData: true, subtree: true }); }")
        seen = []
        for minutes in (13, 14):
            bridge.answer["verdict"]["text"] = bridge.answer["verdict"]["text"].replace(f"{minutes - 1} min ago", f"{minutes} min ago")
            page.until("#verdict-say", f"{minutes} min ago")
            seen.append(page.tab.evaluate("said"))
        assert seen == [0, 0], "the passing of time alone is not spoken"
        bridge.answer = state("streaming")
        page.until("#verdict-h", "OK")
        assert page.tab.evaluate("said") > 0
        # With no answer at all, the times go on.
        young = state("starting")
        bridge.answer = young
        page.until("#verdict-h", "Notice")
        bridge.answer = (0, "")
        first = page.text("#meta")
        wait("times to tick", lambda: page.text("#meta") != first)
        page.calm(["Failed to load resource"])


def elsewhere(browser, bridge, images):
    """Below a path of a proxy; without motion; printed; in forced colours; the favicon."""
    bridge.answer = state("kafka-away")
    with Page(browser, bridge.url + "some/bridge/", reduced_motion="reduce", forced_colors="active") as page:
        page.drawn()
        assert page.tab.locator("footer a").first.evaluate("a => a.href").endswith("/some/bridge/status")
        moving = page.tab.evaluate("[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0 || parseFloat(getComputedStyle(e).animationDuration) > 0).length")
        assert moving == 0
        page.calm()
    icons = set()
    with Page(browser, bridge.url) as page:
        for name in ("streaming", "loading", "dead-letters", "drift"):
            bridge.answer = state(name)
            page.until("#verdict-say", bridge.answer["verdict"]["text"])
            icon = page.tab.get_attribute("#icon", "href")
            assert icon.startswith("data:image/svg+xml,")
            size = page.tab.evaluate("async href => { const i = new Image(); i.src = href; await i.decode(); return i.naturalWidth; }", icon)
            assert size > 0
            icons.add(icon)
        assert len(icons) == 4
        page.tab.emulate_media(media="print")
        audit(page, "printed")
        page.picture(images, "printed")
        page.calm()


def one_file(*_):
    """No foreign assets, no build step, small."""
    text = (ROOT / "src/http/page.html").read_text()
    assert len(text.encode()) < 40_000, f"{len(text.encode())} bytes"
    assert set(re.findall(r"https?://[^\s\"'`<>)]+", text)) == {"http://www.w3.org/2000/svg"}, "foreign addresses"
    for word in ("innerHTML =", "insertAdjacentHTML", "outerHTML", "eval(", "document.write", "localStorage", "cookie"):
        assert word not in text, word


def pictures(browser, bridge, folder):
    """Those of docs/status-page.md."""
    wide, phone = {"width": 1280, "height": 900}, {"width": 360, "height": 1500}
    for name, to, viewport, height, scheme in (("drift", "drift", wide, 1000, "light"), ("streaming", "streaming", wide, 1500, "light"),
                                               ("loading", "loading-dark", wide, 1000, "dark"), ("kafka-away", "phone", phone, 1500, "light"),
                                               ("drift", "no-answer", wide, 900, "light")):
        bridge.answer = state(name)
        with Page(browser, bridge.url, viewport, color_scheme=scheme) as page:
            page.drawn()
            if name == "streaming":
                page.tab.locator("button.open", has_text="shop/order").first.click()
                page.tab.evaluate("document.activeElement.blur()")
                page.tab.mouse.move(0, 0)
            if to == "no-answer":
                bridge.answer = (502, "")
                page.until("#lost", "HTTP 502")
            height = min(height, page.tab.evaluate("document.documentElement.scrollHeight"))
            page.picture(folder, f"status-{to}", clip={"x": 0, "y": 0, "width": viewport["width"], "height": height})


OFFLINE = [one_file, documents_fit_the_schema, each_state, progress, no_answer, huge_stays_usable, text_stays_text, old_bridge, sparse,
           by_keyboard, spoken_and_ticking, elsewhere]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--live", action="store_true", help="against the program and real servers")
    options.add_argument("--images", metavar="FOLDER", help="where to keep pictures")
    options.add_argument("--docs", metavar="FOLDER", help="only takes the pictures of the documentation")
    options.add_argument("only", nargs="*", help="names of tests")
    options = options.parse_args()
    if options.live:
        import live
        tests = live.TESTS
    else:
        tests = [pictures] if options.docs else OFFLINE
    failed = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        bridge = Bridge()
        for test in tests:
            if options.only and test.__name__ not in options.only:
                continue
            bridge.answer = state("streaming")
            begun = time.monotonic()
            try:
                test(browser, bridge, options.docs or options.images)
                print(f"page: {test.__name__} ok ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception as e:
                failed += 1
                at = traceback.extract_tb(e.__traceback__)[1]
                print(f"page: {test.__name__} FAILED ({time.monotonic() - begun:.1f} s)\nline {at.lineno}, {at.line}\n{type(e).__name__}: {e}", flush=True)
        browser.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
