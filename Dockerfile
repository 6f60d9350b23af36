# syntax=docker/dockerfile:1
#   docker build --build-arg REVISION=$(git rev-parse --short=12 HEAD) --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) -t pgspine .
# packaging/image makes the same image from Debian packages alone, and takes the last stage from here.

# The toolchain of rust-toolchain.toml, on the Debian whose libraries the image gets.
FROM rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
ARG REVISION
ARG SOURCE_DATE_EPOCH=0
WORKDIR /src
# Dependencies first, with nothing of ours but the manifest: this layer stays until Cargo.lock changes.
COPY rust-toolchain.toml Cargo.toml Cargo.lock ./
COPY packaging/build packaging/build
RUN mkdir -p src tests/real benches/journey && touch src/lib.rs tests/real/main.rs benches/journey/main.rs \
    && echo 'fn main() {}' >src/main.rs && packaging/build && rm -rf src tests benches
COPY src src
COPY tests tests
COPY benches benches
# Cargo goes by times, and the files of the checkout may be older than the empty ones before.
RUN find src -name '*.rs' -exec touch {} + && PGSPINE_REVISION="$REVISION" packaging/build

FROM build AS root
COPY . .
RUN apt-get update -qq && PGSPINE_REVISION="$REVISION" packaging/stage target/dist/release/pgspine /root-file-system

# What packaging/image builds begins here.
FROM scratch AS image
ARG VERSION=0.1.0
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="pgspine" \
      org.opencontainers.image.description="Postgres changes as entities: what a SELECT says, in an Avro contract, exactly once on Kafka" \
      org.opencontainers.image.url="https://github.com/pgspine/pgspine" \
      org.opencontainers.image.source="https://github.com/pgspine/pgspine" \
      org.opencontainers.image.documentation="https://github.com/pgspine/pgspine/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="pgspine" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=root /root-file-system/base/ /
COPY --from=root /root-file-system/app/ /
COPY --from=root --chown=10001:10001 /root-file-system/state/ /var/lib/
WORKDIR /etc/pgspine
USER 10001:10001
EXPOSE 8080
# SIGTERM drains and ends within 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/pgspine"]
CMD ["run"]
