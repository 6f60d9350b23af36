# Sourced by the scripts of dev/k8s: versions, names, and where things are kept.

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

kubernetes=1.35.4 # the newest that Debian 12's containerd (1.6) was seen to work with
etcd=3.6.15       # Debian's own (3.4) lacks what the API server's watch cache asks for
coredns=1.15.0
go_toolchain=1.26.0

binaries="$cache/k8s-$kubernetes"
tools="$cache/k8s-tools" # helm3, helm4, kubectl

netns=pgspine-k8s
node=10.99.0.1 # the machine's own address inside the namespace: API server, DNS, and the services of the test
pods=10.244.0.0/24

# The one in the namespace: nothing of the cluster reaches the machine's network.
# Not `ip netns exec`: that mounts /sys anew, and the kubelet would look for its cgroups in vain.
inside() { nsenter --net="/run/netns/$netns" "$@"; }

# Ticks since boot at which a process was started: with the pid it names one process. Empty once it is gone or a zombie.
ticks() {
  local stat
  stat="$(cat "/proc/$1/stat" 2>/dev/null)" || return 0
  set -- ${stat##*) }
  [ "$1" = Z ] || echo "${20}"
}
