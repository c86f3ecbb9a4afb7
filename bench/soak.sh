#!/usr/bin/env bash
# Runs the long walks in full and keeps what they said in bench/results/soak.md.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
status=0
mkdir -p bench/results
SALLYPORT_SOAK=1 go test -p 1 -count=1 -v -timeout 60m -run 'Walk|Kill|UnderLoad|Terraform|AWSCLI|Migration|Flood|SlowClients|CertificateSuites' ./... >"$out" 2>&1 || status=$?
{
	echo "# Long walks in full"
	echo
	echo "Made by \`make soak\` on $(date -u +%F)."
	echo
	bash bench/machine.sh
	echo
	echo '```'
	# What each walk covered, then its verdict; packages without a long walk are left out.
	grep -E '^(--- |FAIL)|^ok .*[0-9]s$|points tried|[0-9]+ cases|[0-9]+ handshakes|[0-9]+ changes|SKIPPED' "$out" | grep -v 'no tests to run' | sed -E 's/^ +[a-z_]+\.go:[0-9]+: +/    /' || true
	echo '```'
} >bench/results/soak.md
[ "$status" = 0 ] || { tail -50 "$out"; exit "$status"; }
echo "wrote bench/results/soak.md"
