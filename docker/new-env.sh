#!/usr/bin/env bash
# Makes .env of .env.example, with passwords and a key made up. It does not touch a file that is there.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -e .env ]; then
  echo "There is a file .env already; it stays as it is." >&2
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
done < .env.example > .env

echo "Made .env. Fill in:"
grep -E '^(CLIO|GIS)_[A-Z_]*=$' .env | tr -d '='
