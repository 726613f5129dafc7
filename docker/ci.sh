#!/usr/bin/env bash
# What CI does with containers, in about two minutes: the image keeps its promises, and the ten clients of the mission get
# everything over a network, also when the link is cut and when the server is restarted in between. On a machine without a
# container engine it says so, and ends with exit code 77: nothing was tried.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# skip ends the step: the machine cannot do it, so that nothing was found and nothing held.
skip() {
	printf 'containers: NOT RUN on this machine: %s\n' "$*"
	exit 77
}
command -v docker >/dev/null || skip "there is no docker command"
docker info >/dev/null 2>&1 || skip "no container engine answers the docker command"
docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || skip "there is neither docker compose nor docker-compose"

# An engine that cannot start a container at all, as in some sandboxes, is none; one that can must do the rest.
make build
image=$(docker/build.sh) || skip "the engine cannot build an image"
said=$(timeout 60 docker run --rm "$image" version 2>&1) || skip "the engine cannot start a container: $said"

docker/check-image.sh
docker/two-hosts.sh mission
CUT=12 docker/two-hosts.sh mission cut # seconds; three heartbeats of 2 s find out
docker/two-hosts.sh mission restart
