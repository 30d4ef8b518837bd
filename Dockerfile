FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -tags sqlite -trimpath -ldflags="-s -w" -o /grantor .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /grantor /grantor
ENV GRANTOR_CONFIG=/etc/grantor/config.toml
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s CMD ["/grantor", "health"]
ENTRYPOINT ["/grantor"]
