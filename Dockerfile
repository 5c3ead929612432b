# The images of Data Bridge, one target each: a base and one program. Docker's old builder can build it, too; it makes
# every stage that stands before the wanted one, so the broker's, which needs nothing of the others, comes first.

FROM nats:2.15.1-alpine AS nats
# The zones of schedules: nats-server has none of its own, and refuses a schedule in a zone that it does not know.
COPY --from=debian:bookworm-slim /usr/share/zoneinfo /usr/share/zoneinfo
# A new volume takes over the owner of the folder that it is mounted on.
RUN mkdir -p /data && chown 65532:65532 /data
USER 65532:65532
ENTRYPOINT ["nats-server"]
CMD ["-c", "/config/nats.conf"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8222/healthz"]

# What decides which dependencies are built and how: the manifests, with empty sources in the places that they name.
FROM debian:bookworm-slim AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path '*/src/lib.rs' ! -path '*/src/main.rs' \
        ! -path '*/src/bin/*.rs' ! -path '*/tests/it/main.rs' -delete \
    && find . -name '*.rs' -exec sh -c 'echo "fn main() { }" > "$1"' - {} \;

FROM rust:1.95-bookworm AS build
WORKDIR /src
ENV CARGO_TERM_COLOR=never
# How many compilers run at once; as many as there are cores if it is not given.
ARG CARGO_BUILD_JOBS
COPY --from=manifests /src .
RUN cargo build --release --locked --workspace --exclude it --exclude torture --bins
COPY . .
# A file that is older than what was built of its empty stand-in would be taken for built.
RUN find common services tests -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --workspace --exclude it --exclude torture --bins \
    && mkdir /out && find target/release -maxdepth 1 -type f -executable -exec cp {} /out \;

FROM debian:bookworm-slim AS runtime
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
ENV DATABRIDGE_CONFIG=/config
USER 65532:65532

FROM runtime AS databridge
COPY --from=build /out/databridge /usr/local/bin/
ENTRYPOINT ["databridge"]

FROM runtime AS gis-bridge
COPY --from=build /out/gis-bridge /usr/local/bin/
ENTRYPOINT ["gis-bridge"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["gis-bridge", "health"]

FROM runtime AS clio-bridge
COPY --from=build /out/clio-bridge /usr/local/bin/
ENTRYPOINT ["clio-bridge"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["clio-bridge", "health"]

FROM runtime AS reconciler
COPY --from=build /out/reconciler /usr/local/bin/
ENTRYPOINT ["reconciler"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["reconciler", "health"]

FROM runtime AS auth-service
COPY --from=build /out/auth-service /usr/local/bin/
ENV AUTH_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["auth-service"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["auth-service", "health"]

FROM runtime AS scheduler
COPY --from=build /out/scheduler /usr/local/bin/
ENTRYPOINT ["scheduler"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["scheduler", "health"]

# The stand-in for Clio and ArcGIS, for trials.
FROM runtime AS sandbox
USER root
RUN mkdir /data && chown 65532:65532 /data
USER 65532:65532
COPY --from=build /out/sandbox /usr/local/bin/
EXPOSE 8600
ENTRYPOINT ["sandbox"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8600"]
