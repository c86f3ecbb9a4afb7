#!/usr/bin/env bash
# Runs the long walks in full and keeps what they said in bench/results/soak.md.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
status=0
mkdir -p bench/results
SALLYPORT_SOAK=1 go test -count=1 -v -timeout 60m -run 'Walk|Kill|Crash|Soak|UnderLoad|Flood|SlowClients' ./... >"$out" 2>&1 || status=$?
{
	echo "# Long walks in full"
	echo
	echo "Made by \`make soak\` on $(date -u +%F)."
	echo
	bash bench/machine.sh
	echo
	echo '```'
	grep -E '^\s*(--- |ok |FAIL|PASS:)|soak:' "$out" | grep -v 'no tests to run' | grep -E '^(--- |ok|FAIL)|soak:' || true
	echo '```'
} >bench/results/soak.md
[ "$status" = 0 ] || { tail -50 "$out"; exit "$status"; }
echo "wrote bench/results/soak.md"
