"""A pod of a rendered chart, run by runc with exactly what its spec says: arguments, environment, mounts, security, limits.

What the spec says and this does not understand is an error, never passed over. What needs a cluster (probes, affinity, services) is
left to the caller; `probe` asks what a probe would ask.
"""
import json, os, re, shutil, signal, subprocess, tempfile, time

import yaml

from volumes import Objects, directory, files_of, refuse, write_files

# What containerd gives a container that does not ask otherwise.
DEFAULT_CAPABILITIES = """CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_MKNOD CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SETFCAP CAP_SETPCAP
CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL CAP_AUDIT_WRITE""".split()
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SCHEDULING = {"affinity", "nodeSelector", "tolerations", "topologySpreadConstraints", "priorityClassName", "imagePullSecrets",
              "schedulerName", "runtimeClassName", "serviceAccountName", "serviceAccount", "restartPolicy", "dnsPolicy", "dnsConfig", "hostAliases"}


def quantity(text):
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return int(float(number) / 1000 if unit == "m" else float(number) * UNITS.get(unit, 1))


class Image:
    """An oci-archive, unpacked."""

    def __init__(self, archive, folder):
        os.makedirs(folder)
        layout = os.path.join(folder, "oci")
        subprocess.run(["skopeo", "copy", "-q", f"oci-archive:{archive}", f"oci:{layout}:it"], check=True)
        blob = lambda digest: json.load(open(os.path.join(layout, "blobs", *digest.split(":"))))
        self.manifest = blob(json.load(open(os.path.join(layout, "index.json")))["manifests"][0]["digest"])
        self.id = self.manifest["config"]["digest"]
        self.document = blob(self.id)
        self.config = self.document["config"]
        subprocess.run(["umoci", "unpack", "--image", f"{layout}:it", os.path.join(folder, "bundle")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.root = os.path.join(folder, "bundle", "rootfs")
        self.base = json.load(open(os.path.join(folder, "bundle", "config.json")))


def seccomp(profile="/usr/share/containers/seccomp.json"):
    """The runtimes' own default profile, for a process without any capability."""
    given, kept = json.load(open(profile)), []
    for rule in given["syscalls"]:
        wanted, unwanted = rule.get("includes", {}), rule.get("excludes", {})
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        if wanted.get("caps") or machine not in wanted.get("arches", [machine]) or machine in unwanted.get("arches", []):
            continue
        kept.append({"names": rule["names"], "action": rule["action"],
                     **{k: v for k, v in (("args", rule.get("args")), ("errnoRet", rule.get("errnoRet"))) if v}})
    architecture = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[os.uname().machine]
    return {"defaultAction": given["defaultAction"], "defaultErrnoRet": given.get("defaultErrnoRet", 1), "architectures": [architecture], "syscalls": kept}


def objects_of(documents):
    """ConfigMaps and Secrets among rendered documents."""
    objects = Objects()
    for d in documents:
        encode = lambda data: {k: v.encode() for k, v in (data or {}).items()}
        if d["kind"] == "ConfigMap":
            objects.config_maps[d["metadata"]["name"]] = encode(d.get("data"))
        elif d["kind"] == "Secret":
            import base64
            objects.secrets[d["metadata"]["name"]] = encode(d.get("stringData")) | {k: base64.b64decode(v) for k, v in (d.get("data") or {}).items()}
    return objects


def load(path):
    return [d for d in yaml.safe_load_all(open(path)) if d]


class Pod:
    """The first pod of a StatefulSet, a Job's, or a bare one."""

    def __init__(self, owner, objects, image, folder, network):
        self.objects, self.image, self.folder, self.network = objects, image, folder, network
        self.kind = owner["kind"]
        template = owner if self.kind == "Pod" else owner["spec"]["template"]
        self.name = owner["metadata"]["name"] + ("-0" if self.kind == "StatefulSet" else "")
        self.namespace = owner["metadata"].get("namespace", "default")
        self.labels = template["metadata"].get("labels", {})
        self.annotations = template["metadata"].get("annotations", {})
        self.spec = template["spec"]
        refuse(self.spec, SCHEDULING | {"containers", "initContainers", "volumes", "securityContext", "terminationGracePeriodSeconds", "enableServiceLinks",
                                        "automountServiceAccountToken", "hostUsers", "shareProcessNamespace", "activeDeadlineSeconds"}, "pod")
        if self.spec.get("automountServiceAccountToken", True):
            raise ValueError("a pod with access to the API cannot run here")
        self.security = self.spec.get("securityContext", {})
        refuse(self.security, {"runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "fsGroupChangePolicy", "supplementalGroups", "seccompProfile"}, "pod securityContext")
        self.group = self.security.get("fsGroup")
        self.grace = self.spec.get("terminationGracePeriodSeconds", 30)
        self.volumes = {}
        claims = owner["spec"].get("volumeClaimTemplates", []) if self.kind == "StatefulSet" else []
        for claim in claims:
            self._volume({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}})
        for volume in self.spec.get("volumes", []):
            self._volume(volume)

    def _volume(self, volume):
        folder = os.path.join(self.folder, "volumes", volume["name"])
        files = files_of(volume, self.objects)
        if files:
            os.makedirs(folder)
            write_files(folder, *files, self.group)
        elif "emptyDir" in volume:
            refuse(volume["emptyDir"], {"sizeLimit", "medium"}, "emptyDir")
            directory(folder, self.group)
        elif "persistentVolumeClaim" in volume:
            # A claim outlives the pod.
            folder = self.objects.claims.setdefault(volume["persistentVolumeClaim"]["claimName"], folder)
            directory(folder, self.group)
        else:
            raise ValueError(f"volume {volume} is not understood here")
        self.volumes[volume["name"]] = (volume, folder)

    def refresh(self):
        """What the kubelet does some time after a ConfigMap or Secret has changed."""
        for volume, folder in self.volumes.values():
            files = files_of(volume, self.objects)
            if files:
                write_files(folder, *files, self.group)

    def container(self, name=None, args=None):
        """The named or the first container, ready to start; `args` in place of the spec's for a one-shot command."""
        all_ = self.spec["containers"] + self.spec.get("initContainers", [])
        spec = next(c for c in all_ if name in (None, c["name"]))
        return Container(self, spec if args is None else {**spec, "args": args})


class Container:
    def __init__(self, pod, spec):
        refuse(spec, {"name", "image", "imagePullPolicy", "command", "args", "env", "envFrom", "workingDir", "ports", "resources", "securityContext",
                      "volumeMounts", "livenessProbe", "readinessProbe", "startupProbe", "terminationMessagePath", "terminationMessagePolicy"}, "container")
        self.pod, self.spec = pod, spec
        self.folder = tempfile.mkdtemp(prefix=f"{spec['name']}.", dir=pod.folder)
        self.id = f"{os.path.basename(pod.folder)}-{os.path.basename(self.folder)}".replace(".", "-")
        self.log = os.path.join(self.folder, "log")
        self.termination = os.path.join(self.folder, "termination-log")
        open(self.termination, "w").close()
        os.chmod(self.termination, 0o666)
        subprocess.run(["cp", "-a", pod.image.root, os.path.join(self.folder, "rootfs")], check=True)
        json.dump(self._config(), open(os.path.join(self.folder, "config.json"), "w"), indent=1)
        self.process = None

    def _environment(self):
        found = {}
        if self.spec.get("envFrom"):
            raise ValueError("envFrom is not understood here")
        for entry in self.spec.get("env", []):
            if "value" in entry:
                value = entry["value"]
            elif "valueFrom" not in entry:
                value = ""
            else:
                (kind, source), = entry["valueFrom"].items()
                if kind == "fieldRef":
                    value = {"metadata.name": self.pod.name, "metadata.namespace": self.pod.namespace, "status.podIP": "127.0.0.1"}[source["fieldPath"]]
                elif kind in ("secretKeyRef", "configMapKeyRef"):
                    kept = self.pod.objects.secrets if kind == "secretKeyRef" else self.pod.objects.config_maps
                    value = kept[source["name"]][source["key"]].decode()
                else:
                    raise ValueError(f"env from {kind} is not understood here")
            found[entry["name"]] = expand(value, found)
        return found

    def _config(self):
        pod, spec, image = self.pod, self.spec, self.pod.image.config
        security = {**pod.security, **spec.get("securityContext", {})}
        refuse(spec.get("securityContext", {}), {"runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem", "allowPrivilegeEscalation",
                                                 "capabilities", "privileged", "seccompProfile", "procMount"}, "securityContext")
        if security.get("privileged"):
            raise ValueError("privileged")
        environment = self._environment()
        command = spec.get("command") or image.get("Entrypoint", [])
        # As Kubernetes has it: a command of the spec leaves out the image's arguments.
        args = spec["args"] if spec.get("args") is not None else ([] if spec.get("command") else image.get("Cmd", []))
        user, _, group = image.get("User", "0:0").partition(":")
        uid, gid = security.get("runAsUser", int(user or 0)), security.get("runAsGroup", int(group or 0))
        if security.get("runAsNonRoot") and uid == 0:
            raise ValueError("runAsNonRoot, but it would run as root")
        capabilities = security.get("capabilities", {})
        dropped, added = capabilities.get("drop", []), [f"CAP_{c}" for c in capabilities.get("add", [])]
        held = added if "ALL" in dropped else [c for c in DEFAULT_CAPABILITIES if c[4:] not in dropped] + added
        config = self.pod.image.base
        config = json.loads(json.dumps(config))
        config["process"] = {
            "terminal": False, "user": {"uid": uid, "gid": gid, "additionalGids": [*([pod.group] if pod.group is not None else []), *security.get("supplementalGroups", [])]},
            "args": [expand(a, environment) for a in [*command, *args]],
            "env": [*image.get("Env", []), f"HOSTNAME={pod.name}", *(f"{k}={v}" for k, v in environment.items())],
            "cwd": spec.get("workingDir") or image.get("WorkingDir") or "/",
            # A process without capabilities inherits none either, and an ordinary user's effective set is empty.
            "capabilities": {k: held for k in (("bounding", "permitted", "effective") if uid == 0 else ("bounding",))},
            "noNewPrivileges": security.get("allowPrivilegeEscalation", True) is False,
            "oomScoreAdj": 0,
        }
        config["root"] = {"path": "rootfs", "readonly": bool(security.get("readOnlyRootFilesystem"))}
        config["hostname"] = pod.name
        config["mounts"] = [m for m in config["mounts"] if m["destination"] not in ("/sys/fs/cgroup", "/etc/resolv.conf")] + self._mounts()
        linux = config["linux"]
        for key in ("uidMappings", "gidMappings"):
            linux.pop(key, None)
        linux["namespaces"] = [{"type": t} for t in ("pid", "ipc", "uts", "mount")] + [{"type": "network", "path": pod.network.path}]
        limits = spec.get("resources", {}).get("limits", {})
        resources = {"devices": [{"allow": False, "access": "rwm"}]}
        if "memory" in limits:
            resources["memory"] = {"limit": quantity(limits["memory"])}
        if "cpu" in limits:
            amount = str(limits["cpu"])
            cores = float(amount[:-1]) / 1000 if amount.endswith("m") else float(amount)
            resources["cpu"] = {"period": 100000, "quota": int(cores * 100000)}
        linux["resources"] = resources
        linux["cgroupsPath"] = f"/pgspine-image/{self.id}"
        profile = security.get("seccompProfile", {}).get("type", "Unconfined")
        if profile not in ("RuntimeDefault", "Unconfined"):
            raise ValueError(f"seccompProfile {profile}")
        linux.pop("seccomp", None)
        if profile == "RuntimeDefault":
            linux["seccomp"] = seccomp()
        return config

    def _mounts(self):
        mounts = []
        for mount in self.spec.get("volumeMounts", []):
            refuse(mount, {"name", "mountPath", "readOnly", "subPath"}, "volumeMount")
            volume, folder = self.pod.volumes[mount["name"]]
            kind = next(k for k in volume if k != "name")
            # ConfigMaps and Secrets are read-only whatever the mount says.
            read_only = mount.get("readOnly") or kind in ("configMap", "secret", "projected")
            where = os.path.realpath(os.path.join(folder, mount["subPath"])) if "subPath" in mount else folder
            if kind == "emptyDir" and volume["emptyDir"].get("medium") == "Memory":
                size = quantity(volume["emptyDir"].get("sizeLimit", "64Mi"))
                mounts.append({"destination": mount["mountPath"], "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", f"size={size}", "mode=1777"]})
            else:
                mounts.append({"destination": mount["mountPath"], "type": "bind", "source": where, "options": ["rbind", "rprivate", "ro" if read_only else "rw"]})
        hosts = os.path.join(self.folder, "hosts")
        with open(hosts, "w") as f:
            f.write(f"127.0.0.1 localhost\n127.0.0.1 {self.pod.name}\n")
        path = self.spec.get("terminationMessagePath", "/dev/termination-log")
        mounts.append({"destination": "/etc/hosts", "type": "bind", "source": hosts, "options": ["bind", "rw"]})
        mounts.append({"destination": path, "type": "bind", "source": self.termination, "options": ["bind", "rw"]})
        return mounts

    def runc(self, *words, **options):
        return subprocess.run(["runc", "--root", os.path.join(self.pod.folder, "runc"), *words], text=True, **options)

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(["runc", "--root", os.path.join(self.pod.folder, "runc"), "run", "-b", self.folder, self.id],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return self

    def pid(self):
        """On this machine, of the container's first process."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            done = self.runc("state", self.id, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if done.returncode == 0 and (state := json.loads(done.stdout))["status"] == "running":
                return state["pid"]
            time.sleep(0.02)
        raise TimeoutError(f"{self.id} does not run:\n{self.text()}")

    def kill(self, number=signal.SIGTERM):
        self.runc("kill", self.id, str(int(number)), check=True)

    def wait(self, limit):
        """The exit code, as a shell would say it; TimeoutExpired when it goes on."""
        return self.process.wait(limit)

    def exec(self, *words, limit=60):
        return self.runc("exec", self.id, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit)

    def text(self):
        return open(self.log, errors="replace").read() if os.path.exists(self.log) else ""

    def probe(self, kind):
        """What the kubelet would see: (status, body), or None."""
        get = self.spec[f"{kind}Probe"]["httpGet"]
        ports = {p.get("name"): p["containerPort"] for p in self.spec.get("ports", [])}
        return self.pod.network.get(ports.get(get["port"], get["port"]), get["path"], self.spec[f"{kind}Probe"].get("timeoutSeconds", 1))

    def remove(self):
        self.runc("delete", "-f", self.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.process:
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(os.path.join(self.folder, "rootfs"), ignore_errors=True)


def expand(text, environment):
    """$(NAME) as Kubernetes writes it; $$(NAME) stays."""
    return re.sub(r"\$(\$\([A-Za-z_][A-Za-z0-9_.-]*\))|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)",
                  lambda m: m.group(1) or environment.get(m.group(2), m.group(0)), text)
