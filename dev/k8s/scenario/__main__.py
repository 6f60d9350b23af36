"""A release of the chart lives through what happens to releases, with Helm 4, and through the shorter half of it with Helm 3."""
import argparse, sys, time, traceback

import steps
from cluster import diagnose, kubectl
from release import Release
from transcript import BEGUN, Failed, give_up, must, note, say, step

FULL = [
    ("A namespace that enforces the restricted standard", steps.restricted, False),
    ("helm install --wait: three bridges", steps.install, True),
    ("What the pods may do", steps.confined, False),
    ("helm test", steps.helm_test, False),
    ("kubectl exec: pause, status, resume", steps.operated, True),
    ("kubectl delete pod", steps.pod_deleted, True),
    ("kubectl drain, uncordon", steps.drained, True),
    ("Out of memory", steps.out_of_memory, True),
    ("Kafka is killed, and comes back", steps.kafka_away, True),
    ("An upgrade with a broken transform", steps.refused_upgrade, True),
    ("An upgrade with a good transform", steps.changed_transform, True),
    ("A broken transform in spite of all, and the rollback", steps.broken_in_spite, True),
    ("Another password", steps.password_rotated, True),
    ("helm uninstall, and a new release on what is left", steps.uninstalled, True),
]
SHORT = [s for s in FULL if s[1] in (steps.restricted, steps.install, steps.helm_test, steps.pod_deleted, steps.refused_upgrade,
                                     steps.changed_transform, steps.broken_in_spite, steps.uninstalled)]


def live(version, acts):
    say(f"\n======== Helm {version}")
    release = Release(version)
    note(release.helm("version", "--short").stdout)
    try:
        for title, act, exact in acts:
            with step(title):
                act(release)
                if exact:
                    release.exact()
        with step("The end"):
            release.workload.end()
            release.exact()
            release.uninstall()
            kubectl("delete", "namespace", release.namespace, "--timeout=120s", limit=150)
            release.shop.drop()
            must(True, "slots, database and namespace are removed")
    except BaseException:
        diagnose(release.namespace)
        raise


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--helm", choices=("3", "4"), help="this one only")
    p.add_argument("--only", choices=("full", "short"), help="this list of steps, whichever Helm")
    p.add_argument("--steps", help="names of steps after the installation, comma separated")
    a = p.parse_args()
    for version, acts in (("4", FULL), ("3", SHORT)):
        if a.helm in (None, version):
            acts = {"full": FULL, "short": SHORT, None: acts}[a.only]
            if a.steps:
                acts = [s for s in FULL if s[1].__name__ in ("restricted", "install", *a.steps.split(","))]
            live(version, acts)
    say(f"\nall of it held, {time.monotonic() - BEGUN:.0f} s")


try:
    main()
except Failed as e:
    give_up(e)
    sys.exit(1)
except Exception:
    give_up(traceback.format_exc())
    sys.exit(1)
