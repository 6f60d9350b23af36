"""What the run says, and how it waits: every step has a title, figures and an end; every wait has a name and a limit."""
import contextlib, os, subprocess, sys, time

BEGUN = time.monotonic()


class Failed(Exception):
    """Something that must hold does not."""


def say(text=""):
    print(text, flush=True)


@contextlib.contextmanager
def step(title):
    begun = time.monotonic()
    say(f"\n== {title}")
    yield
    say(f"   {time.monotonic() - begun:.1f} s")


def note(text):
    for line in str(text).splitlines():
        say(f"   {line}")


def must(holds, what):
    """One thing that must hold; what it is goes into the transcript, so that a reader sees what was looked at."""
    if not holds:
        raise Failed(what)
    note(f"ok  {what}")


def until(what, limit, probe, pause=0.3):
    """Waits for a level: `probe` gives something true, or says why not by what it raises or returns."""
    end = time.monotonic() + limit
    while True:
        try:
            last = probe()
            if last:
                return last
        except (Failed, OSError, subprocess.SubprocessError) as e:
            last = e
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {limit} s; at last: {last!r}")
        time.sleep(pause)


def run(*command, stdin=None, ok=True, limit=180, env=None):
    """A program to its end. Its output goes into the error when it had to succeed and did not."""
    done = subprocess.run([str(c) for c in command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=limit,
                          env={**os.environ, **(env or {})})
    if ok and done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


def give_up(error):
    say(f"\nFAILED after {time.monotonic() - BEGUN:.0f} s: {error}")
    sys.stdout.flush()
