# Builds for the platforms of --platform. VERSION and REVISION are what "grantor version" and the labels say:
#   docker build -t grantor --build-arg VERSION=0.9.0 --build-arg REVISION="$(git rev-parse HEAD)" .
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
# Where modules come from, if not from proxy.golang.org.
ARG GOPROXY
WORKDIR /src
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION
ARG REVISION
# Without paths, times and a build id, one source and one Go make one binary.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -tags sqlite -trimpath -buildvcs=false \
    -ldflags="-s -w -buildid= -X main.version=$VERSION -X main.revision=$REVISION" -o /out/grantor . && \
    go run -C test/tools ./sbom -version "$VERSION" /out/grantor >/out/sbom.cdx.json

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="Grantor" \
      org.opencontainers.image.description="An OAuth 2.0 token server for machines, first-party apps, and the APIs that they call" \
      org.opencontainers.image.source="https://github.com/grantor-auth/grantor" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=build /out/grantor /grantor
COPY --from=build /out/sbom.cdx.json /usr/share/doc/grantor/
COPY LICENSE /usr/share/doc/grantor/
ENV GRANTOR_CONFIG=/etc/grantor/config.toml
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s CMD ["/grantor", "health"]
ENTRYPOINT ["/grantor"]
