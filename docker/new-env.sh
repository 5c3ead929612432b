#!/usr/bin/env bash
# Makes .env, or the file that it is told, of .env.example, with passwords and a key made up. It writes over no file.
set -euo pipefail

example=$(dirname "$0")/../.env.example
env=${1:-$(dirname "$0")/../.env}
if [ -e "$env" ]; then
  echo "$env is there already; it stays as it is." >&2
  exit 1
fi

random_hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

umask 077
while IFS= read -r line; do
  case $line in
    NATS_PASSWORD_*=) echo "${line}p$(random_hex 24)" ;;
    DATABRIDGE_KEY=) echo "$line$(random_hex 32)" ;;
    *) echo "$line" ;;
  esac
done < "$example" > "$env"

echo "Made $env. Fill in what is empty; .env.example tells what it is:"
sed -n 's/^\([A-Z_]*\)=$/  \1/p' "$env"
