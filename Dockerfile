FROM rust:1.95-slim-trixie AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin portcullis

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /build/target/release/portcullis /usr/local/bin/portcullis
# Mount the policy, and the files that it names, into /etc/portcullis.
# It has to listen on "0.0.0.0:8080" there, and to log to stdout.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["run", "--config", "/etc/portcullis/portcullis.toml"]
