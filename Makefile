# The commands of the README. Everything else is in dev/.
.PHONY: test demo bench install advisories services-up services-down

test:
	@dev/test $(ARGS)

# ARGS="--duration 30s"
demo: install
	cargo run --locked --features demo -- demo $(ARGS)

bench: install
	@dev/bench $(ARGS)

install:
	@dev/install

# Needs the advisory database from the network; not part of `test`.
advisories: install
	PATH="$$PATH:$${PGSPINE_CACHE:-$$HOME/.cache/pgspine}/cargo-deny-0.20.2" cargo deny check advisories

services-up:
	@dev/services up

services-down:
	@dev/services down
