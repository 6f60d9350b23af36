"""What happens to a release, one function each. Every one ends with the topics still to be exact: its caller asks."""
import json, os, time

from cluster import kube_json, kubectl
from release import DIR
from transcript import must, note, run, until


def restricted(r):
    """The namespace refuses what the *restricted* standard refuses: else the release's own pods prove nothing."""
    r.namespace_with_restrictions()
    refused = run("kubectl", "-n", r.namespace, "run", "careless", "--image=localhost/pause:1", ok=False)
    must(refused.returncode and "violates PodSecurity" in refused.stderr, "a pod without a security context is refused")


def install(r):
    begun = time.monotonic()
    notes = r.install()
    note(f"helm install --wait: {time.monotonic() - begun:.1f} s")
    for bridge, pod in r.pods.items():
        must(pod.ready(), f"{pod.name} is ready")
        must(r.shop.slot_row(bridge)["active"], f"slot {r.shop.slot(bridge)} is held")
        note(f"{bridge}: loaded {r.loaded_rows(bridge):,} rows")
    must(all(r.shop.slot(b) in notes for b in r.pods), "the notes name the slots, which uninstall leaves")


def confined(r):
    """What a pod may do, seen from the kernel and from the API server."""
    for pod in r.pods.values():
        spec = pod.get()["spec"]
        must(not any("serviceAccountToken" in s for v in spec.get("volumes", []) for s in v.get("projected", {}).get("sources", [])),
             f"{pod.name}: no service account token is mounted")
        process = of_process(pod)
        must(process["Uid"].split() == ["10001"] * 4, f"{pod.name}: uid 10001")
        must(int(process["CapEff"], 16) == 0 and int(process["CapBnd"], 16) == 0, f"{pod.name}: no capability, and none to be had")
        must(process["NoNewPrivs"] == "1" and process["Seccomp"] == "2", f"{pod.name}: no new privileges, seccomp filters")
    account = spec["serviceAccountName"]
    may = run("kubectl", "-n", r.namespace, "auth", "can-i", "get", "secrets", f"--as=system:serviceaccount:{r.namespace}:{account}", ok=False).stdout.strip()
    must(may == "no", f"the service account {account} may do nothing")


def of_process(pod):
    return dict(line.split(":\t") for line in open(f"/proc/{pid_of(pod)}/status").read().splitlines() if ":\t" in line)


def pid_of(pod):
    container = pod.container()["containerID"].removeprefix("containerd://")
    for line in run("ctr", "-a", f"{DIR}/containerd.sock", "-n", "k8s.io", "tasks", "ls").stdout.splitlines():
        if line.startswith(container):
            return int(line.split()[1])
    raise AssertionError(f"no task of {container}")


def helm_test(r):
    out = r.helm("test", r.helm.release, "--timeout", "120s", limit=180).stdout
    must(out.count("Succeeded") >= 1 and "Failed" not in out, "helm test passes")


def operated(r):
    """pause, status and resume by `kubectl exec`."""
    pod = r.pods["shop"]
    pod.pgspine("pause")
    until("the bridge is paused", 30, lambda: pod.status()["paused"])
    emitted, traded = pod.status()["positions"]["emitted"], r.workload.transactions
    until("the shop trades on", 60, lambda: r.workload.transactions > traded + 50)
    must(pod.status()["positions"]["emitted"] == emitted, f"paused: nothing emitted after {emitted} in 50 transactions")
    must(pod.http("/readyz")[0] == 200, "paused: /readyz is 200")
    must("paused" in pod.pgspine("status").stdout, "paused: `pgspine status` says so")
    pod.pgspine("resume")
    until("the bridge goes on", 60, lambda: pod.status()["positions"]["emitted"] != emitted and not pod.status()["paused"])


def pod_deleted(r):
    """SIGTERM, a clean end, and the same volume again."""
    pod = r.pods["shop"]
    before, generation, log = pod.uid(), pod.status()["generation"], f"{DIR}/ended.log"
    follower = pod.follow(log)
    until("the log is followed", 20, lambda: os.path.getsize(log))
    took = pod.delete()
    grace = kube_json("-n", r.namespace, "get", "statefulset", r.sets["shop"])["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    follower.wait(30)
    said = [json.loads(line) for line in open(log) if line.startswith("{")]
    must(any(l.get("signal") == 15 for l in said), "the log says that SIGTERM came")
    must(said[-1]["message"] == "ended" and said[-1]["exit"] == 0, f"its last line says: ended, exit 0; after {took:.1f} s of {grace} s grace")
    begun = time.monotonic()
    pod.ready_after(before)
    note(f"ready again after {time.monotonic() - begun:.1f} s")
    must(r.loaded_rows("shop") == 0, "the state came back with the volume: 0 rows loaded")
    must(pod.status()["generation"] > generation, f"generation {generation} → {pod.status()['generation']}")
    r.flows()


def exists(pod):
    return run("kubectl", "-n", pod.namespace, "get", "pod", pod.name, ok=False).returncode == 0


def drained(r):
    """The node is emptied for maintenance, and comes back."""
    before = {b: p.uid() for b, p in r.pods.items()}
    begun = time.monotonic()
    kubectl("drain", "n1", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s", limit=170)
    note(f"kubectl drain: {time.monotonic() - begun:.1f} s")
    for bridge in r.pods:
        until("the walsender has noticed", 30, lambda: not r.shop.slot_row(bridge)["active"])
    note("nobody reads the slots")
    kubectl("uncordon", "n1")
    for bridge, pod in r.pods.items():
        pod.ready_after(before[bridge])
    for bridge in ("shop", "catalogue"):
        must(r.loaded_rows(bridge) == 0, f"{bridge}: 0 rows loaded, the volume was kept")
    must(r.loaded_rows("prices") > 0, f"prices, whose state is an emptyDir, loaded {r.loaded_rows('prices')} rows anew")
    r.flows()


def out_of_memory(r):
    """A limit that a large transaction does not fit into: the kernel kills in the midst of it, again and again, until the limit is raised."""
    pod, before = r.pods["shop"], r.pods["shop"].uid()
    held = int(of_process(pod)["RssAnon"].split()[0]) // 1024
    limit = f"memory={held + 24}Mi"
    # Around the chart, which refuses such a limit.
    kubectl("-n", r.namespace, "set", "resources", "statefulset", r.sets["shop"], f"--requests={limit}", f"--limits={limit}")
    before = pod.ready_after(before)
    with r.workload.still(), r.shop.admin.transaction():
        # Changes that no topic shows; what they touch is held until the transaction is done with.
        r.shop.admin.execute("INSERT INTO shop.orders (customer_id, status) SELECT 1, 'draft' FROM generate_series(1, 100000)")
        r.shop.admin.execute("UPDATE shop.orders SET total = total + 1 WHERE status = 'draft'")
        r.shop.admin.execute("DELETE FROM shop.orders WHERE status = 'draft' AND total = 1")
    dead = until("the kernel kills it", 180, lambda: (t := pod.terminated()) and t["reason"] == "OOMKilled" and t)
    must(dead["exitCode"] == 137, f"limit {limit} where the idle process had held {held} MiB of its own: OOMKilled, exit code 137")
    kubectl("-n", r.namespace, "rollout", "undo", "statefulset", r.sets["shop"])
    pod.ready_after(before)
    must(r.loaded_rows("shop") == 0, "with the old limit it is ready again: 0 rows loaded")
    r.flows()


def kafka_away(r):
    """No liveness probe may kill a bridge for what is not its fault."""
    pod = r.pods["shop"]
    before, restarts = pod.uid(), pod.restarts()
    probe = pod.get()["spec"]["containers"][0]["livenessProbe"]
    patience = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3) + 10
    begun = time.monotonic()
    r.kafka("kill")
    try:
        until("the bridge notices", 180, lambda: pod.http("/readyz")[0] == 503)
        note(f"Kafka is gone: /readyz is 503 after {time.monotonic() - begun:.1f} s")
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if pod.http("/livez")[0] != 200:
                must(False, "/livez is 200")
            time.sleep(1)
        must(True, f"/livez was 200 for {patience} s, longer than the probe bears failures")
        must(pod.uid() == before and pod.restarts() == restarts, "the same container runs, no restart")
        must(r.shop.slot_row("shop"), "the slot is there")
    finally:
        r.kafka("up")
    begun = time.monotonic()
    until("the bridge is ready again", 180, lambda: pod.ready() == before)
    note(f"Kafka is back: ready after {time.monotonic() - begun:.1f} s")
    r.flows()


def refused_upgrade(r):
    """A transform that cannot work is found by the preflight, and the old pod never stops."""
    pod, good, was = r.pods["shop"], r.transforms["shop"]["shop/order.sql"], r.helm.revision()
    before, restarts = pod.uid(), pod.restarts()
    r.transforms["shop"]["shop/order.sql"] = good.replace("o.currency", "o.curency AS currency")
    begun = time.monotonic()
    failed = r.upgrade("--wait", "--timeout", "120s", ok=False)
    must(failed.returncode, f"helm upgrade fails, after {time.monotonic() - begun:.1f} s: {failed.stderr.strip().splitlines()[-1][:160]}")
    must(r.helm.status() == "failed", "helm status: failed")
    said = preflight_log(r)
    must("curency" in said, "the preflight's log names the column")
    note("\n".join(l for l in said.splitlines() if l.strip())[:700])
    must(pod.uid() == before and pod.restarts() == restarts, "the old pod is still the same one")
    r.transforms["shop"]["shop/order.sql"] = good
    r.flows()
    r.helm("rollback", r.helm.release, str(was), "--wait", "--timeout", "180s", limit=240)
    must(r.helm.status() == "deployed" and pod.uid() == before, "helm rollback: deployed, and still the same pod")


def preflight_log(r):
    """Of the preflight's pods that failed: what they said."""
    pods = kube_json("-n", r.namespace, "get", "pods")["items"]
    failed = [p["metadata"]["name"] for p in pods if p["status"]["phase"] == "Failed"]
    return "\n".join(kubectl("-n", r.namespace, "logs", p) for p in failed)


def changed_transform(r):
    """A transform with one more field rolls its own pod, and only that."""
    before = {b: p.uid() for b, p in r.pods.items()}
    files = r.transforms["shop"]
    files["shop/order.sql"] = files["shop/order.sql"].replace("  o.currency,", "  o.currency,\n  o.customer_id,")
    contract = json.loads(files["shop/order.avsc"])
    contract["fields"].append({"name": "customer_id", "type": "long", "default": 0})
    files["shop/order.avsc"] = json.dumps(contract)
    begun = time.monotonic()
    r.upgrade("--wait", "--timeout", "240s")
    note(f"helm upgrade --wait: {time.monotonic() - begun:.1f} s")
    must(r.pods["shop"].ready() != before["shop"], "the pod of the changed bridge is another one")
    must(all(r.pods[b].uid() == before[b] for b in ("catalogue", "prices")), "the pods of the other bridges are the same")
    r.flows()


def broken_in_spite(r):
    """Without its preflight the broken transform reaches the pod: what that looks like, and the way back."""
    pod, good, was = r.pods["shop"], r.transforms["shop"]["shop/order.sql"], r.helm.revision()
    before = pod.uid()
    r.transforms["shop"]["shop/order.sql"] = good.replace("o.currency", "o.curency AS currency")
    kubectl("-n", r.namespace, "set", "env", "statefulset", r.sets["shop"], "PGSPINE_BRIDGE__ON_HALT=exit")
    before = pod.ready_after(before)
    r.upgrade("--no-hooks")
    r.transforms["shop"]["shop/order.sql"] = good
    dead = until("the new pod ends", 180, lambda: pod.uid() != before and pod.terminated())
    must(dead["exitCode"] in (2, 6), f"the process ended with {dead['exitCode']}")
    described = kubectl("-n", r.namespace, "describe", "pod", pod.name)
    why = described[described.find("Message:"):described.find("Exit Code:")]
    must("curency" in why, "kubectl describe says why, under Last State:")
    note("\n".join(line.strip() for line in why.splitlines() if "curency" in line)[:400])
    kubectl("-n", r.namespace, "set", "env", "statefulset", r.sets["shop"], "PGSPINE_BRIDGE__ON_HALT-")
    begun = time.monotonic()
    r.helm("rollback", r.helm.release, str(was), "--wait", "--timeout", "180s", limit=240)
    must(pod.ready(), f"helm rollback --wait replaced the broken pod by itself, in {time.monotonic() - begun:.1f} s")
    r.flows()


def password_rotated(r):
    """The role's password changes first, and its Secret a while later, as it has to be: in between nobody gets in, and nobody gives up."""
    before = {b: (p.uid(), p.restarts()) for b, p in r.pods.items()}
    readers = {b: r.shop.slot_row(b)["active_pid"] for b in r.pods}
    r.shop.admin.execute(f"ALTER ROLE {r.shop.role} PASSWORD 'second'")
    r.shop.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (r.shop.role,))
    for bridge, pod in r.pods.items():
        until(f"{bridge} tells what keeps it out", 60, lambda: "PGS4004" in pod.logs("--tail=20"))
    r.secret("second")
    begun = time.monotonic()
    for bridge in r.pods:
        until(f"{bridge} reads its slot again", 240, lambda: (row := r.shop.slot_row(bridge))["active"] and row["active_pid"] != readers[bridge])
    note(f"{time.monotonic() - begun:.1f} s after the Secret all bridges are back")
    must(before == {b: (p.uid(), p.restarts()) for b, p in r.pods.items()}, "the same containers run, no restart")
    r.flows()


def uninstalled(r):
    """What is left is what the notes said: volumes and slots. A new release on them goes on where the old one stopped."""
    claims = {c["metadata"]["name"] for c in kube_json("-n", r.namespace, "get", "pvc")["items"]}
    said = r.uninstall()
    # Helm 4 does not wait for the pods of what it deletes.
    until("the pods are gone", 60, lambda: not any(map(exists, r.pods.values())))
    note("the pods are gone")
    left = {c["metadata"]["name"] for c in kube_json("-n", r.namespace, "get", "pvc")["items"]}
    must(claims and left == claims, f"the claims are left: {', '.join(sorted(left))}")
    for bridge in r.pods:
        must(r.shop.slot_row(bridge), f"slot {r.shop.slot(bridge)} is left")
        until("the walsender has noticed", 30, lambda: not r.shop.slot_row(bridge)["active"])
    note(said.strip()[:300])
    begun = time.monotonic()
    r.install()
    note(f"helm install --wait: {time.monotonic() - begun:.1f} s")
    for bridge in ("shop", "catalogue"):
        must(r.loaded_rows(bridge) == 0, f"{bridge}: goes on where it stopped, 0 rows loaded")
    r.flows()
