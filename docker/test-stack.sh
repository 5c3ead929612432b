#!/usr/bin/env bash
# Runs the stack of the compose files against the sandbox, kills each part of it, and sees that it goes on. It takes the
# binaries of `cargo build --workspace`, puts them into images by the very stages of the Dockerfile, and leaves nothing
# behind. It needs Docker, Compose, cargo, Python with pip, and curl.
#
#   docker/test-stack.sh [BINARIES]     BINARIES: a folder with binaries built elsewhere, for Debian 12
#
# Where there is no Docker it fails; with DATABRIDGE_NO_DOCKER=1 it says so and ends well.
set -euo pipefail
cd "$(dirname "$0")/.."

# Every service of docker-compose.yml that stays up.
services=(nats gis-bridge clio-bridge reconciler auth-service scheduler)
# Those of them, and of the images, whose program does not exist yet: they are left out.
missing=()
