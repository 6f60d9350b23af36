# The commands of the README. Everything else is in dev/.
# The binary says in --version what it was built from.
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null)

.PHONY: test test-k8s demo build bench image deb sbom test-image test-deb install advisories services-up services-down

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

# The release binary, target/dist/release/pgspine, with the revision in it.
build: install
	PGSPINE_REVISION=$(REVISION) packaging/build

# What is shipped, into dist/: docs/packaging.md.
image: build
	@packaging/image

deb: build
	@packaging/deb

sbom: build
	@mkdir -p dist && packaging/components --binary target/dist/release/pgspine dist

# The image runs as the chart's pod; the package is installed into a Debian of its own.
test-image:
	@dev/image/test $(ARGS)

test-deb:
	@dev/image/test-deb $(ARGS)

install:
	@dev/install

# Needs the advisory database from the network; not part of `test`.
advisories: install
	PATH="$$PATH:$${PGSPINE_CACHE:-$$HOME/.cache/pgspine}/cargo-deny-0.20.2" cargo deny check advisories

services-up:
	@dev/services up

services-down:
	@dev/services down
