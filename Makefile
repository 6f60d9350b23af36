# The commands of the README. Everything else is in dev/.
# The binary says in --version what it was built from.
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null)

.PHONY: test test-k8s demo build bench install advisories services-up services-down

test:
	@dev/test $(ARGS)

# The chart and the image in a real one-node Kubernetes (docs/kubernetes.md). Root; builds Kubernetes once, then ten minutes.
test-k8s:
	@dev/k8s/test $(ARGS)

# ARGS="--duration 30s"
demo:
	@dev/install demo
	@cargo run --locked --features demo -- demo $(ARGS)

bench: install
	@dev/bench $(ARGS)

# The release binary, target/release/pgspine, with the revision in it.
build: install
	PGSPINE_REVISION=$(REVISION) cargo build --release --locked

install:
	@dev/install

# Needs the advisory database from the network; not part of `test`.
advisories: install
	PATH="$$PATH:$${PGSPINE_CACHE:-$$HOME/.cache/pgspine}/cargo-deny-0.20.2" cargo deny check advisories

services-up:
	@dev/services up

services-down:
	@dev/services down
