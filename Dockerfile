FROM rust:1.95-slim-trixie AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin portcullis

# It needs libc and libgcc_s of the same Debian, and nothing else.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /build/target/release/portcullis /usr/local/bin/portcullis
COPY config/docker.toml /etc/portcullis/portcullis.toml
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/portcullis", "health"]
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["run", "--config", "/etc/portcullis/portcullis.toml"]
