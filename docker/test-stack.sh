#!/usr/bin/env bash
# Runs the stack of the compose files against the sandbox, kills each part of it, and sees that it goes on. It puts the
# binaries of `cargo build --workspace` into images by the very stages of the Dockerfile, and leaves nothing behind but
# the images that the Dockerfile begins with. It needs Docker, Compose, cargo, Python with pip, and curl; where these
# images cannot be pulled, also what docker/stand-in-images.sh needs.
#
#   docker/test-stack.sh [BINARIES]     BINARIES: a folder of binaries built elsewhere, which Debian 12 can run
#
# Without Docker it fails, unless DATABRIDGE_NO_DOCKER=1 says that there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

services=(gis-bridge clio-bridge reconciler auth-service scheduler)
litigations=60
# How long the stack may take to be healthy, in seconds.
patience=180

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

if ! docker info > /dev/null 2>&1; then
  [ "${DATABRIDGE_NO_DOCKER:-}" = 1 ] || fail "Docker does not answer; DATABRIDGE_NO_DOCKER=1 leaves this test out"
  echo "SKIPPED: DATABRIDGE_NO_DOCKER=1 says that there is no Docker."
  exit 0
fi
compose_program=(docker compose)
docker compose version > /dev/null 2>&1 || compose_program=(docker-compose)

work=$(mktemp -d)
: > "$work/no-env"
project=databridge-test-$$
export DATABRIDGE_VERSION=test-$$ SANDBOX_LITIGATIONS=$litigations RUST_LOG=info

free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)) && (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do :; done
  echo "$port"
}
NATS_PORT=$(free_port) AUTH_PORT=$(free_port) SANDBOX_PORT=$(free_port)
export NATS_PORT AUTH_PORT SANDBOX_PORT

compose_files=(--project-name "$project" --env-file "$work/no-env" -f docker-compose.yml -f docker-compose.sandbox.yml)
compose() {
  "${compose_program[@]}" "${compose_files[@]}" "$@"
}

stay_up=(nats sandbox "${services[@]}")
one_shot=(setup person)

# The containers of a service, or of all.
containers() {
  docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.project=$project" \
    ${1:+--filter "label=com.docker.compose.service=$1"} --filter label=com.docker.compose.oneoff=False
}

# What Docker holds of the project: networks, or volumes.
held() { docker "$1" ls --quiet --filter "label=com.docker.compose.project=$project"; }

remove_volumes() { held volume | xargs --no-run-if-empty docker volume rm > /dev/null; }

clean_up() {
  local status=$?
  if [ "$status" -ne 0 ]; then
    docker ps --all --filter "label=com.docker.compose.project=$project"
    compose logs --no-color --tail 30 || true
  fi
  docker ps --all --quiet --filter "label=com.docker.compose.project=$project" \
    | xargs --no-run-if-empty docker rm --force > /dev/null
  compose down --volumes --remove-orphans > "$work/down" 2>&1 || cat "$work/down"
  remove_volumes
  docker images --quiet --filter "label=databridge.test=$project" | sort -u \
    | xargs --no-run-if-empty docker rmi --force > /dev/null
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

quietly() {
  "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; fail "$*"; }
}

up() {
  quietly compose up --detach --no-build "${stay_up[@]}" "${one_shot[@]}"
}

# Docker's own miscount: where containers come and go side by side, it can lose count of who is in a network, and then
# holds the network until its daemon starts again, although nobody is in it and it serves whoever joins (moby#42119,
# moby#43286). $1 is what Compose said.
miscounted() {
  grep -q "has active endpoints" "$1" && [ -z "$(docker ps --all --quiet --filter "network=${project}_default")" ] \
    && [ "$(docker network inspect --format '{{len .Containers}}' "${project}_default")" = 0 ]
}

# Takes the stack down. A network that Docker miscounted is told of and left: it is no failure of the stack.
miscount=no
down() {
  if ! compose down --timeout 30 "$@" > "$work/log" 2>&1; then
    miscounted "$work/log" || { cat "$work/log" >&2; fail "compose down $*"; }
    miscount=yes
    echo "Docker has miscounted who is in the network ${project}_default (moby#43286), and keeps it."
    # Compose ends there, before the volumes.
    case " $* " in *" --volumes "*) remove_volumes ;; esac
  fi
}

# What is not as it should be: each container that does not run healthy, each one-shot that has not ended well.
not_well() {
  local service id
  for service in "${stay_up[@]}"; do
    id=$(containers "$service")
    [ -n "$id" ] || { echo "$service has no container"; continue; }
    docker inspect --format '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$id" \
      | sed "/^running healthy$/d; s/^/$service is /"
  done
  for service in "${one_shot[@]}"; do
    id=$(containers "$service")
    [ -n "$id" ] || { echo "$service has no container"; continue; }
    docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$id" | sed "/^exited 0$/d; s/^/$service is /"
  done
}

until_well() {
  local began=$SECONDS state
  while state=$(not_well) && [ -n "$state" ]; do
    [ $((SECONDS - began)) -lt "$patience" ] || fail "not well after $patience s:"$'\n'"$state"
    sleep 0.5
  done
  echo "healthy after $((SECONDS - began)) s: ${stay_up[*]}; ended well: ${one_shot[*]}"
}

run_databridge() {
  timeout 180 "${compose_program[@]}" "${compose_files[@]}" run --rm -T databridge "$@" \
    < /dev/null > "$work/out" 2> "$work/err"
}

# The operator's command.
databridge() {
  echo "\$ docker-compose run --rm databridge $*"
  run_databridge "$@" || { cat "$work/out" "$work/err" >&2; fail "databridge $*"; }
  sed 's/^/    /' "$work/out"
}

# Makes Clio ready and brings everything over: as much as the plan says.
first_migrate() {
  local planned
  databridge bootstrap
  databridge plan
  planned=$(awk 'NF == 5 && $1 ~ /^(clio|gis)\./ { sum += $3 } END { print sum }' "$work/out")
  databridge migrate
  grep -q ", $planned written" "$work/out" || fail "the plan was to make $planned records"
}

admin() {
  curl --fail --silent --show-error --max-time 20 "http://127.0.0.1:$SANDBOX_PORT/admin/$1" "${@:2}"
}

edits=0
# Gives a litigation on the map a new owner.
edit_map() {
  edits=$((edits + 1))
  owner="Owner number $edits"
  admin "gis/layers/2/features/$edits" --request PATCH --header 'content-type: application/json' \
    --data "{\"attributes\": {\"Court_Property_Owner\": \"$owner\"}}" > /dev/null
}

see_in_clio() {
  admin clio/matters > "$work/matters"
  grep -qF "\"$owner\"" "$work/matters" || fail "\"$owner\" has not arrived in Clio"
  echo "arrived in Clio: $owner"
}

# An edit on the map goes over to Clio.
sync_carries() {
  edit_map
  databridge sync gis
  see_in_clio
}

# The same while the servers come to terms about who leads.
sync_carries_soon() {
  local began=$SECONDS
  edit_map
  until run_databridge sync gis; do
    [ $((SECONDS - began)) -lt 90 ] || { cat "$work/out" "$work/err" >&2; fail "databridge sync gis for 90 s"; }
    echo "not yet: $(tail -n 1 "$work/err")"
  done
  cat "$work/out"
  see_in_clio
}

# The same, asked for by a person with a NATS client.
sync_by_hand() {
  edit_map
  PYTHONPATH=$work/python python3 - <<'PYTHON'
import asyncio, json, os
import nats

async def ask():
    nc = await nats.connect(f"nats://127.0.0.1:{os.environ['NATS_PORT']}", user="operator", password="sandbox-operator")
    ended = asyncio.Queue()
    await nc.subscribe("run.*.ended", cb=ended.put)
    ack = await nc.jetstream().publish("sync.request.gis", b"")
    while True:
        message = await asyncio.wait_for(ended.get(), 60)
        if message.subject == f"run.{ack.seq}.ended":
            break
    summary = json.loads(message.data)
    print(f"run {ack.seq} ended: {summary.get('written', 0)} written")
    await nc.close()

asyncio.run(ask())
PYTHON
  see_in_clio
}

# Kills a container's first process, as a crash would: after `docker kill` Docker would leave the container alone.
crash() {
  local id=$1 before after began=$SECONDS
  before=$(docker inspect --format '{{.State.StartedAt}}' "$id")
  docker run --rm --pid host --entrypoint bash "$debian" -c \
    "kill -KILL $(docker inspect --format '{{.State.Pid}}' "$id")"
  while after=$(docker inspect --format '{{.State.StartedAt}}' "$id") && [ "$after" = "$before" ]; do
    [ $((SECONDS - began)) -lt 60 ] || fail "the container has not been started again after 60 s"
    sleep 0.2
  done
}

build() { quietly docker build --label "databridge.test=$project" --tag "databridge/$1:$DATABRIDGE_VERSION" "${@:2}"; }

# Puts the programs into images. Only the stages that compile are left out.
make_images() {
  local target
  build binaries "$work/context"
  { echo "FROM databridge/binaries:$DATABRIDGE_VERSION AS build"; sed -n '/ AS runtime$/,$p' Dockerfile; } \
    > "$work/Dockerfile"
  mkdir -p "$work/empty"
  for target in databridge sandbox "${services[@]}"; do
    build "$target" --target "$target" --file "$work/Dockerfile" "$work/empty"
  done
  build nats --target nats .
}

debian=$(sed -n 's/^FROM \(debian:[^ ]*\).*/\1/p' Dockerfile | head -n 1)

step The images that the Dockerfile begins with
for name in debian nats; do
  image=$(sed -n "s/^FROM \($name:[^ ]*\).*/\1/p" Dockerfile | head -n 1)
  if ! docker image inspect "$image" > /dev/null 2>&1 && ! timeout 120 docker pull --quiet "$image" 2> /dev/null; then
    docker/stand-in-images.sh "$name"
  fi
  echo "$image"
done

step Programs
if [ $# -gt 0 ]; then binaries=$1; else binaries=target/debug && cargo build --workspace --bins; fi
mkdir -p "$work/context/out" "$work/context/etc/ssl/certs"
for name in databridge sandbox "${services[@]}"; do
  [ -x "$binaries/$name" ] || fail "there is no program $binaries/$name"
  strip -o "$work/context/out/$name" "$binaries/$name" 2> /dev/null || cp "$binaries/$name" "$work/context/out/"
done
cp /etc/ssl/certs/ca-certificates.crt "$work/context/etc/ssl/certs/"
printf 'FROM scratch\nCOPY . /\n' > "$work/context/Dockerfile"

step Images
make_images
docker run --rm "databridge/databridge:$DATABRIDGE_VERSION" --version \
  || fail "$debian cannot run the programs of this machine; name a folder of others"
docker images --filter "reference=databridge/*:$DATABRIDGE_VERSION" --format '{{.Repository}} {{.Size}}'

step What is missing in the settings is named
# Compose's answer to the settings of a file, with nothing of this shell's.
settings() {
  env -i PATH="$PATH" HOME="$HOME" ${DOCKER_CONFIG:+DOCKER_CONFIG="$DOCKER_CONFIG"} \
    "${compose_program[@]}" --env-file "$1" "${@:2}" config > "$work/log" 2>&1
}
refused_for() {
  if settings "${@:2}"; then fail "settings without $1 are not refused"; fi
  grep -qE "$1 is missing, see .env.example" "$work/log" || { cat "$work/log"; fail "$1 is not named"; }
}
# Compose names the first that it comes upon.
refused_for "[A-Z_]+" "$work/no-env"
docker/new-env.sh "$work/env" > /dev/null
sed -E 's#^((CLIO|GIS)_[A-Z_]*)=$#\1=https://host/#' "$work/env" > "$work/whole-env"
for overlay in override secrets; do
  files=(-f docker-compose.yml -f "docker-compose.$overlay.yml")
  refused_for "(CLIO|GIS)_[A-Z_]+" "$work/env" "${files[@]}"
  for more in "" docker-compose.cluster.yml; do
    settings "$work/whole-env" "${files[@]}" ${more:+-f "$more"} || { cat "$work/log"; fail "$overlay $more"; }
  done
done
echo "named, with docker-compose.override.yml and docker-compose.secrets.yml; nothing is missing once .env is whole"

step The stack comes up with nothing to configure
up
until_well

step "What the containers may do"
for service in "${stay_up[@]}" "${one_shot[@]}"; do
  docker inspect --format "$service user={{.Config.User}} read-only={{.HostConfig.ReadonlyRootfs}} \
drop={{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} memory={{.HostConfig.Memory}} \
restart={{.HostConfig.RestartPolicy.Name}}" "$(containers "$service")"
done | tee "$work/rights"
rights='user=65532:65532 read-only=true drop=\[ALL\] \[no-new-privileges:true\] memory=[1-9][0-9]* restart=[uo].*'
if grep -vE "$rights" "$work/rights"; then fail "these may do more"; fi

step "The first migrate, by the operator's command"
first_migrate
sync_carries

step "The schedules of the config, once there was a migrate"
began=$SECONDS
until run_databridge schedules && [ "$(grep -c '^  active' "$work/out")" -eq "$(grep -c '^\[' config/schedules.toml)" ]; do
  [ $((SECONDS - began)) -lt 60 ] || { cat "$work/out" "$work/err"; fail "not all schedules are active"; }
  sleep 1
done
sed 's/^/    /' "$work/out"

step A sync asked for by hand
python3 -m pip install --quiet --root-user-action ignore --target "$work/python" nats-py==2.16.0
sync_by_hand

for service in "${stay_up[@]}"; do
  step "$service crashes"
  crash "$(containers "$service")"
  until_well
  sync_carries
done

step Everything is killed at once, and brought up
alive=()
for service in "${stay_up[@]}"; do alive+=("$(containers "$service")"); done
docker kill --signal KILL "${alive[@]}" > /dev/null
up
until_well
sync_carries

step docker-compose restart
quietly compose restart --timeout 30
until_well
sync_carries

step Everything goes, and comes up in the wrong order
down
quietly compose up --detach --no-build --no-deps "${services[@]}"
quietly compose up --detach --no-build --no-deps "${one_shot[@]}"
for service in "${services[@]}"; do
  [ -n "$(containers "$service")" ] || fail "$service has no container"
done
[ -z "$(containers nats)" ] || fail "nats is there already"
quietly compose up --detach --no-build --no-deps nats sandbox
until_well
sync_carries

step Another build of the reconciler is brought up
echo >> "$work/context/out/reconciler"
make_images
up
[ "$(docker inspect --format '{{.Image}}' "$(containers reconciler)")" \
  = "$(docker image inspect --format '{{.Id}}' "databridge/reconciler:$DATABRIDGE_VERSION")" ] \
  || fail "the reconciler is not of the new image"
until_well
sync_carries

step Down, with its volumes
down --volumes
left=$(docker ps --all --quiet --filter "label=com.docker.compose.project=$project"
  held volume
  if [ "$miscount" = no ]; then held network; fi)
[ -z "$left" ] || fail "left behind: $left"

step Three nats-servers
compose_files+=(-f docker-compose.cluster.yml)
stay_up=(nats nats-2 nats-3 "${stay_up[@]:1}")
edits=0
up
until_well
first_migrate
for service in nats nats-2 nats-3; do
  echo "without $service:"
  docker kill --signal KILL "$(containers "$service")" > /dev/null
  sync_carries_soon
  quietly compose up --detach --no-build --no-deps "$service"
  until_well
done
down --volumes

step "All is well"
