#!/usr/bin/env bash
# Describes the machine in Markdown, for the head of a results file.
set -euo pipefail
model=$(awk -F ': ' '/model name/ {print $2; exit}' /proc/cpuinfo 2>/dev/null || true)
memory=$(awk '/MemTotal/ {printf "%.0f GiB", $2/1048576}' /proc/meminfo 2>/dev/null || true)
echo "- machine: ${model:-unknown CPU}, $(nproc) cores, ${memory:-unknown memory}, $(uname -sr); shared with others, so ratios in one run count, not single figures"
echo "- Go: $(go version | cut -d' ' -f3-)"
echo "- revision: $(git rev-parse --short HEAD)$(git diff --quiet HEAD -- . ':!bench/results' || echo ' with local changes')"
