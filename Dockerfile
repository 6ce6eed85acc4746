# Builds the binary in one stage and ships it alone in the other.
FROM rust:1.89-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin oneloop

FROM debian:bookworm-slim
COPY --from=build /build/target/release/oneloop /usr/local/bin/oneloop
# The authorities that a model's server is checked against. This image has none; that of the build has, as cargo needs them.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A user of its own, without a name, a home or a right to write anywhere but where runs are kept.
RUN install --directory --owner=65532 --group=65532 --mode=0700 /state
USER 65532:65532
VOLUME /state
EXPOSE 8000
# Loopback inside a container is out of reach, hence all addresses. There is no access control:
# publish the port on the host's loopback only, mount the notes read-only, and give what is kept a volume with a name:
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/docs:/notes:ro" -v oneloop-state:/state oneloop
ENTRYPOINT ["oneloop"]
CMD ["serve", "/notes", "--state-dir", "/state", "--listen", "0.0.0.0:8000", "--insecure"]
