"""A pod's volumes as folders of this machine, laid out and owned as the kubelet does it."""
import os, shutil, time


class Objects:
    """The ConfigMaps and Secrets that a pod may refer to: {name: {key: bytes}}."""

    def __init__(self):
        self.config_maps, self.secrets, self.claims = {}, {}, {}


def content(source, kind, objects):
    """{path: (bytes, mode or None)} of a configMap or secret source; a missing object is an error unless optional."""
    name = source["name" if kind == "configMap" else ("secretName" if "secretName" in source else "name")]
    known = {"name", "secretName", "items", "optional", "defaultMode"}
    refuse(source, known, kind)
    data = (objects.config_maps if kind == "configMap" else objects.secrets).get(name)
    if data is None:
        if source.get("optional"):
            return {}
        raise KeyError(f"{kind} {name} does not exist")
    if "items" not in source:
        return {key: (value, None) for key, value in data.items()}
    found = {}
    for item in source["items"]:
        refuse(item, {"key", "path", "mode"}, "item")
        if item["key"] not in data:
            if source.get("optional"):
                continue
            raise KeyError(f"{kind} {name} has no key {item['key']}")
        found[item["path"]] = (data[item["key"]], item.get("mode"))
    return found


def files_of(volume, objects):
    """What a volume of files holds, with the mode that it asks for; None for other volumes."""
    for kind in ("configMap", "secret"):
        if kind in volume:
            return content(volume[kind], kind, objects), volume[kind].get("defaultMode", 0o644)
    if "projected" in volume:
        refuse(volume["projected"], {"sources", "defaultMode"}, "projected")
        found = {}
        for source in volume["projected"]["sources"]:
            refuse(source, {"configMap", "secret"}, "projected source")
            for kind, inner in source.items():
                found |= content(inner, kind, objects)
        return found, volume["projected"].get("defaultMode", 0o644)
    return None


def write_files(folder, files, default_mode, group):
    """Atomically, as the kubelet: a new folder of the time, and `..data` turned to it; each name is a link through it."""
    made = f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{time.monotonic_ns()}"
    for path, (value, mode) in files.items():
        place = os.path.join(folder, made, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as f:
            f.write(value)
        # A group of the pod's may read whatever the mode says.
        os.chmod(place, (mode or default_mode) | (0o440 if group is not None else 0))
    os.makedirs(os.path.join(folder, made), exist_ok=True)
    if group is not None:
        for where, folders, names in os.walk(os.path.join(folder, made)):
            for name in [".", *names]:
                os.chown(os.path.join(where, name), 0, group)
    data, before = os.path.join(folder, "..data"), None
    if os.path.islink(data):
        before = os.readlink(data)
    os.symlink(made, data + "_tmp")
    os.replace(data + "_tmp", data)
    top = {path.split("/")[0] for path in files}
    for name in top:
        if not os.path.islink(os.path.join(folder, name)):
            os.symlink(f"..data/{name}", os.path.join(folder, name))
    for name in os.listdir(folder):
        if not name.startswith("..") and name not in top:
            os.unlink(os.path.join(folder, name))
    if before:
        shutil.rmtree(os.path.join(folder, before))


def directory(folder, group):
    """An empty folder to write into: root's, and the pod's group's."""
    os.makedirs(folder, exist_ok=True)
    if group is not None:
        os.chown(folder, 0, group)
    os.chmod(folder, 0o2775 if group is not None else 0o777)


def refuse(given, known, what):
    """Nothing of a spec is passed over in silence."""
    unknown = set(given) - known
    if unknown:
        raise ValueError(f"{what}: {', '.join(sorted(unknown))} is not understood here")
