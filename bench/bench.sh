#!/usr/bin/env bash
# Runs the benchmarks and keeps their output in bench/results/benchmarks.md.
# With a revision as argument, runs both revisions in turn, round by round, so
# that both see the same noise, and prints benchstat's comparison.
#   bench/bench.sh            bench/bench.sh main
# ROUNDS (default 6, the least for a confidence interval), PATTERN (default .) and BENCHTIME (default 1s) may be
# set in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-6} pattern=${PATTERN:-.} benchtime=${BENCHTIME:-1s}
out=$(mktemp -d)
trap 'if [ -n "${tree:-}" ]; then git worktree remove --force "$tree"; fi; rm -rf "$out"' EXIT

# bench prints what benchstat reads; a benchmark that fails, or a pattern that
# fits none, ends the run, loudly.
bench() {
	(cd "$1" && go test -run '^$' -bench "$pattern" -benchtime "$benchtime" -benchmem -timeout 30m ./...) >"$out/raw.txt" || { cat "$out/raw.txt" >&2; return 1; }
	grep -q '^Benchmark' "$out/raw.txt" || { echo "no benchmark fits the pattern $pattern in $1" >&2; return 1; }
	grep -E '^(Benchmark|goos|goarch|pkg|cpu)' "$out/raw.txt"
}

if [ $# -gt 0 ] && [ -n "$1" ]; then
	git worktree add --detach --quiet "$out/base" "$1"
	tree=$out/base
	for round in $(seq "$rounds"); do
		echo "round $round of $rounds" >&2
		bench "$tree" >>"$out/base.txt"
		bench . >>"$out/this.txt"
	done
	go tool benchstat "$1=$out/base.txt" "this=$out/this.txt"
	exit
fi
for round in $(seq "$rounds"); do
	echo "round $round of $rounds" >&2
	bench . >>"$out/this.txt"
done
{
	echo "# Benchmarks"
	echo
	echo "Made by \`make bench\` on $(date -u +%F); medians and spread of $rounds rounds of $benchtime by benchstat, pattern \`$pattern\`."
	echo
	bash bench/machine.sh
	echo
	echo '```'
	go tool benchstat "result=$out/this.txt"
	echo '```'
} >"$out/report.md"
mkdir -p bench/results
mv "$out/report.md" bench/results/benchmarks.md
echo "wrote bench/results/benchmarks.md" >&2
