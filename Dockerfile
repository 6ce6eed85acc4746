# Builds the binary in one stage and ships it alone in the other.
FROM rust:1.89-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin oneloop

FROM debian:bookworm-slim
COPY --from=build /build/target/release/oneloop /usr/local/bin/oneloop
# A user of its own, without a name, a home or a right to write anywhere.
USER 65532:65532
EXPOSE 8000
# Loopback inside a container is out of reach, hence all addresses. There is no access control:
# publish the port on the host's loopback only, and mount the notes read-only:
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/docs:/notes:ro" oneloop
ENTRYPOINT ["oneloop"]
CMD ["serve", "/notes", "--listen", "0.0.0.0:8000", "--insecure"]
