# MinIO from the sources that requirements/minio pins, because no images are published any more.
FROM golang:1.24.11-alpine3.22 AS build
WORKDIR /build
COPY requirements/minio/go.mod requirements/minio/go.sum ./
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /minio github.com/minio/minio

FROM alpine:3.22.2
RUN adduser -D -u 1000 minio && install -d -o minio /data
COPY --from=build /minio /usr/local/bin/minio
USER minio
VOLUME /data
EXPOSE 9000
