#!/usr/bin/env python3
"""Runs the first pod of a rendered chart by hand, as dev/image/run.py does for its checks.

    helm template r helm/pgspine -f values.yaml | dev/image/run_pod.py --image dist/pgspine-image.tar \\
        --secret shop-postgres=FOLDER --claim r-pgspine-shop-state=FOLDER --forward 5432 --forward 9092 -

A Secret's folder holds a file for each key. The pod's network is loopback, with the forwarded ports of this machine's. Ctrl-C
ends it as the kubelet would: SIGTERM, the pod's grace, SIGKILL. `-- ARGUMENT…` takes the place of the container's arguments. Needs
root, runc, skopeo, umoci, iproute2 and PyYAML.
"""
import argparse, os, shutil, signal, subprocess, sys, tempfile

import yaml

from network import Loopback
from pod import Image, Pod, objects_of


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("rendered", help="what helm template printed; - for standard input")
    arguments.add_argument("--image", required=True, help="an oci-archive")
    arguments.add_argument("--kind", default="StatefulSet", help="StatefulSet, Job or Pod")
    arguments.add_argument("--name", help="of the object, where there are several")
    arguments.add_argument("--secret", action="append", default=[], metavar="NAME=FOLDER")
    arguments.add_argument("--claim", action="append", default=[], metavar="NAME=FOLDER")
    arguments.add_argument("--forward", action="append", default=[], type=int, metavar="PORT")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    ours, theirs = words[:cut], words[cut + 1:]
    given = arguments.parse_args(ours)
    documents = [d for d in yaml.safe_load_all(sys.stdin if given.rendered == "-" else open(given.rendered)) if d]
    objects = objects_of(documents)
    for name, folder in (s.split("=", 1) for s in given.secret):
        objects.secrets[name] = {key: open(os.path.join(folder, key), "rb").read() for key in os.listdir(folder)}
    objects.claims = dict(s.split("=", 1) for s in given.claim)
    owners = [d for d in documents if d["kind"] == given.kind and given.name in (None, d["metadata"]["name"])]
    if not owners:
        sys.exit(f"no {given.kind} {given.name or ''} is in {given.rendered}")
    folder = tempfile.mkdtemp(prefix="pgspine-pod-")
    network = Loopback(os.path.basename(folder))
    container = None
    try:
        for port in given.forward:
            network.forward(port)
        os.mkdir(os.path.join(folder, "pod"))
        pod = Pod(owners[0], objects, Image(given.image, os.path.join(folder, "image")), os.path.join(folder, "pod"), network)
        container = pod.container(args=theirs or None).start()
        print(f"{pod.name}: log {container.log}, network {network.path}", file=sys.stderr)
        follow = subprocess.Popen(["tail", "-n", "+1", "-F", "-s", "0.2", f"--pid={container.process.pid}", container.log], stderr=subprocess.DEVNULL)
        try:
            code = container.wait(None)
        except KeyboardInterrupt:
            container.kill(signal.SIGTERM)
            try:
                code = container.wait(pod.grace)
            except subprocess.TimeoutExpired:
                container.kill(signal.SIGKILL)
                code = container.wait(None)
        follow.wait()
        if message := open(container.termination).read():
            print(f"termination log: {message}", file=sys.stderr)
        return code
    finally:
        if container:
            container.remove()
        network.close()
        shutil.rmtree(folder, ignore_errors=True)


sys.exit(main())
