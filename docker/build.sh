#!/usr/bin/env bash
# Builds the image papertape:latest of bin/papertape (make build), offline, and prints its id. Arguments are further tags.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ -x bin/papertape ]] || { echo "docker/build.sh: there is no bin/papertape; make build makes it" >&2; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
tags=(--tag papertape:latest)
for tag in "$@"; do
	tags+=(--tag "$tag")
done
# What docker says is of interest only if it fails: without the buildx plug-in it calls this builder deprecated every time.
if ! docker build --quiet --iidfile "$out/id" "${tags[@]}" --file docker/Dockerfile --build-arg VERSION="${VERSION:-dev}" . \
	>"$out/said" 2>&1; then
	cat "$out/said" >&2
	exit 1
fi
# What was latest before has no name any more, unless somebody gave it one.
docker image prune --force --filter label=org.opencontainers.image.title=papertape >/dev/null 2>&1 || true
cat "$out/id"
