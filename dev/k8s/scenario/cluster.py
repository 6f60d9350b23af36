"""kubectl and helm, and what the steps ask of a pod."""
import json, re, subprocess, time, urllib.error, urllib.request

from transcript import Failed, run, until


def kubectl(*arguments, **options):
    return run("kubectl", *arguments, **options).stdout


def kube_json(*arguments):
    return json.loads(kubectl(*arguments, "-o", "json"))


class Helm:
    def __init__(self, version, namespace, release):
        self.program, self.namespace, self.release = f"helm{version}", namespace, release

    def __call__(self, *arguments, **options):
        return run(self.program, "--namespace", self.namespace, *arguments, **options)

    def status(self):
        return json.loads(self("status", self.release, "-o", "json").stdout)["info"]["status"]

    def revision(self):
        return max(h["revision"] for h in json.loads(self("history", self.release, "-o", "json").stdout))


class Pod:
    """The one pod of a bridge: the same name through all its lives."""

    def __init__(self, namespace, name):
        self.namespace, self.name = namespace, name

    def get(self):
        return kube_json("-n", self.namespace, "get", "pod", self.name)

    def container(self):
        statuses = self.get()["status"].get("containerStatuses") or [{}]
        return statuses[0]

    def uid(self):
        return self.get()["metadata"]["uid"]

    def ready(self):
        """Its uid once it is ready; a pod that is about to go is not."""
        pod = self.get()
        conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
        return "deletionTimestamp" not in pod["metadata"] and conditions.get("Ready") == "True" and pod["metadata"]["uid"]

    def ready_after(self, uid, limit=120):
        return until(f"{self.name} is another pod and ready", limit, lambda: (u := self.ready()) and u != uid and u)

    def restarts(self):
        return self.container().get("restartCount", 0)

    def terminated(self):
        """How its container ended last: code, reason, message."""
        container = self.container()
        for state in ("state", "lastState"):
            if ended := container.get(state, {}).get("terminated"):
                return ended

    def http(self, path):
        """(status code, body), from where a kubelet or Prometheus asks."""
        address = self.get()["status"].get("podIP")
        if not address:
            raise Failed(f"{self.name} has no address")
        try:
            with urllib.request.urlopen(f"http://{address}:8080{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def status(self):
        return json.loads(self.http("/status")[1])

    def metric(self, name, **labels):
        """The sum over the series of a name that carry these labels; None when there is none."""
        found = None
        for line in self.http("/metrics")[1].splitlines():
            m = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
            if m and m[1] == name and all(f'{k}="{v}"' in (m[2] or "") for k, v in labels.items()):
                found = (found or 0) + float(m[3])
        return found

    def pgspine(self, *arguments, **options):
        """As an operator does: in the running container."""
        return run("kubectl", "-n", self.namespace, "exec", self.name, "--", "pgspine", *arguments, **options)

    def logs(self, *arguments):
        return kubectl("-n", self.namespace, "logs", self.name, *arguments)

    def follow(self, path):
        """The log goes on into a file: after the pod's end nobody can ask for it."""
        return subprocess.Popen(["kubectl", "-n", self.namespace, "logs", "-f", self.name], stdout=open(path, "w"), stderr=subprocess.DEVNULL)

    def delete(self):
        begun = time.monotonic()
        kubectl("-n", self.namespace, "delete", "pod", self.name, "--wait=true", limit=120)
        return time.monotonic() - begun


def diagnose(namespace):
    """What a person would look at first."""
    for arguments in (["get", "pods,pvc,jobs", "-o", "wide"], ["get", "events", "--sort-by=.lastTimestamp"], ["describe", "pods"]):
        print(run("kubectl", "-n", namespace, *arguments, ok=False).stdout[-6000:])
    for pod in run("kubectl", "-n", namespace, "get", "pods", "-o", "name", ok=False).stdout.split():
        for previous in ([], ["--previous"]):
            print(f"-- log of {pod} {' '.join(previous)}")
            print(run("kubectl", "-n", namespace, "logs", "--tail=25", *previous, pod, ok=False).stdout[-5000:])
