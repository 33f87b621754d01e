#!/bin/sh
# Checks this machine's requirements, prints what to install, and starts Coinlake.
#
#   ./setup.sh [START_OPTION ...]     checks, then `npm start -- START_OPTION ...`
#   ./setup.sh --check                checks only
#   ./setup.sh --cluster              Kafka, Spark, MinIO, Hive and Airflow: in Docker if it runs, else native (Linux)
#
# Exit codes: 0 success, 1 the program failed, 2 something is missing or an option is wrong.
set -eu

NODE_MINIMUM=18
PYTHON_MINIMUM="3.10"
DISK_MINIMUM_MB=3000
CLUSTER_DISK_MINIMUM_MB=12000
CLUSTER_MEMORY_MINIMUM_MB=7500

say() { printf '%s\n' "$*" >&2; }

cd "$(dirname "$0")"

is_check=false
is_cluster=false
case "${1:-}" in
  --check) is_check=true; shift ;;
  --cluster) is_cluster=true; shift ;;
  -h | --help)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
if { "$is_check" || "$is_cluster"; } && [ "$#" -gt 0 ]; then
  say "error: $1 cannot be combined with --check or --cluster. See ./setup.sh --help."
  exit 2
fi

# Prints the name of this system's package installer, or none.
installer() {
  for manager in apt-get dnf zypper pacman apk brew; do
    if command -v "$manager" >/dev/null 2>&1; then
      echo "$manager"
      return
    fi
  done
  echo none
}

# Prints the command that installs Node.js, Python, or a cluster's servers with the system's installer.
how_to_install() {
  case "$(installer):$1" in
    apt-get:node) echo "sudo apt-get install nodejs npm" ;;
    apt-get:python) echo "sudo apt-get install python3 python3-venv" ;;
    apt-get:cluster) echo "sudo apt-get install openjdk-17-jre-headless maven postgresql, and Go 1.24 from https://go.dev/dl" ;;
    dnf:node) echo "sudo dnf install nodejs npm" ;;
    dnf:python) echo "sudo dnf install python3" ;;
    dnf:cluster) echo "sudo dnf install java-17-openjdk-headless maven postgresql-server, and Go 1.24 from https://go.dev/dl" ;;
    zypper:node) echo "sudo zypper install nodejs npm" ;;
    zypper:python) echo "sudo zypper install python312" ;;
    zypper:cluster) echo "sudo zypper install java-17-openjdk-headless maven postgresql-server go" ;;
    pacman:node) echo "sudo pacman -S nodejs npm" ;;
    pacman:python) echo "sudo pacman -S python" ;;
    pacman:cluster) echo "sudo pacman -S jre17-openjdk-headless maven postgresql go" ;;
    apk:*) echo "Alpine Linux is not supported, because DuckDB has no build for its C library; use Debian, Ubuntu or Fedora" ;;
    brew:node) echo "brew install node" ;;
    brew:python) echo "brew install python" ;;
    *:node) echo "download it from https://nodejs.org" ;;
    *:python) echo "download it from https://www.python.org/downloads" ;;
    *:cluster) echo "install Docker from https://docs.docker.com/get-docker; the native servers run on Linux only" ;;
  esac
}

missing=0
need() { # REQUIREMENT NEXT_STEP
  say "missing: $1"
  say "         $2"
  missing=$((missing + 1))
}

check_node() {
  if ! command -v node >/dev/null 2>&1; then
    need "Node.js $NODE_MINIMUM or newer" "$(how_to_install node)"
    return
  fi
  version="$(node -p 'process.versions.node')"
  if [ "${version%%.*}" -lt "$NODE_MINIMUM" ]; then
    need "Node.js $NODE_MINIMUM or newer (this is $version)" "Update it: $(how_to_install node), or https://nodejs.org"
  fi
  if ! command -v npm >/dev/null 2>&1; then
    need "npm" "$(how_to_install node)"
  fi
}

# Prints the first Python that is new enough, or nothing.
find_python() {
  for candidate in "${COINLAKE_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < tuple(map(int, sys.argv[1].split("."))))' "$PYTHON_MINIMUM" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

check_python() {
  python="$(find_python)"
  if [ -z "$python" ]; then
    need "Python $PYTHON_MINIMUM or newer, for dbt" "$(how_to_install python), or set COINLAKE_PYTHON to its path"
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    need "Python's venv module" "$(how_to_install python)"
  fi
}

check_disk() { # megabytes
  free_mb="$(df -Pm . | awk 'NR == 2 { print $4 }')"
  if [ "$free_mb" -lt "$1" ]; then
    need "disk space: $free_mb MB are free in $(pwd), $1 MB are needed" "Free some space, or move this folder to another disk."
  fi
}

has_docker() { docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

check_cluster() {
  if [ -r /proc/meminfo ]; then
    memory_mb="$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)"
    if [ "$memory_mb" -lt "$CLUSTER_MEMORY_MINIMUM_MB" ]; then
      need "memory for the cluster: this machine has $memory_mb MB, $CLUSTER_MEMORY_MINIMUM_MB MB are needed" \
        "Use ./setup.sh without --cluster: it needs one process only."
    fi
  fi
  if has_docker; then
    if [ ! -f .env ]; then
      need "settings of the Docker services in .env" "cp .env.example .env, then fill in its empty lines"
    fi
    return
  fi
  for program in java mvn go; do
    if ! command -v "$program" >/dev/null 2>&1; then
      need "$program, for the native servers (Docker was not found or is not running)" "$(how_to_install cluster)"
      return
    fi
  done
  if [ -z "$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ]; then
    need "PostgreSQL, for the native servers" "$(how_to_install cluster)"
  fi
}

check_node
check_python
if "$is_cluster"; then
  check_disk "$CLUSTER_DISK_MINIMUM_MB"
  check_cluster
else
  check_disk "$DISK_MINIMUM_MB"
fi
if [ "$missing" -gt 0 ]; then
  say ""
  say "Install what is missing, then run ./setup.sh again."
  exit 2
fi
say "All requirements are met: Node.js $(node -p 'process.versions.node'), $("$(find_python)" --version)."
if "$is_check"; then exit 0; fi

if ! "$is_cluster"; then exec npm start -- "$@"; fi
if has_docker; then
  docker compose up --detach --wait
  say "The cluster is running. Dashboard: http://127.0.0.1:4000   Airflow: http://127.0.0.1:8081   Stop it: docker compose down"
  exit 0
fi
npm run -s coinlake -- cluster up --native
exec npm start -- --profile cluster
