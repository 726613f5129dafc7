#!/bin/sh
# Generates the Go code of api/ from its .proto file, with nothing but the Go module proxy: no protoc or plugin on PATH.
# A second run gives the same bytes, so a check is `tools/generate.sh && git diff --exit-code -- api`.
#
# Two tool modules, because they disagree about protobuf: tools/buf.mod wants a newer one than the plugins of
# tools/protoc.mod may have, whose version has to be the one that go.mod has at run time.
set -eu
cd "$(dirname "$0")/.."
exec go tool -modfile=tools/buf.mod buf generate
