#!/bin/sh
# Generates the Go code of api/ from its .proto file. It needs only the Go module proxy, no protoc or plugin on PATH.
# The output is deterministic, so `tools/generate.sh && git diff --exit-code -- api` checks that it is up to date.
#
# There are two tool modules, because they need different versions of protobuf: tools/buf.mod needs a newer one, while
# the plugins of tools/protoc.mod must use the version in go.mod.
set -eu
cd "$(dirname "$0")/.."
exec go tool -modfile=tools/buf.mod buf generate
