package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// blocks returns the indented blocks of a page: what a reader copies, and what
// the page says it prints. Fenced ones are for reading only.
func blocks(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	open, fenced := false, false
	for line := range strings.Lines(string(text)) {
		code, ok := strings.CutPrefix(line, "    ")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		ok = ok && !fenced
		switch {
		case ok && open:
			found[len(found)-1] += code
		case ok:
			found = append(found, code)
		}
		open = ok
	}
	return found
}

// isOutput reports a block that shows what a command prints.
func isOutput(block string) bool {
	return strings.HasPrefix(block, "curl: (") || strings.HasPrefix(block, "{")
}

// A command that a page marks as refused fails as curl fails at a handshake;
// one that is marked with exit code 1 has found something.
var (
	refusedLine = regexp.MustCompile(`(?m)^(curl .*?)\s*# refused$`)
	findingLine = regexp.MustCompile(`(?m)^(sallyport .*?)\s*# exit code 1$`)
)

// TestREADME runs the commands of the quickstart's guide, of the README, of the
// quickstart page and of the doctor's as they are printed, in this order and in
// one shell. Only the fixed ports, and "go run", are replaced.
func TestREADME(t *testing.T) {
	for _, program := range []string{"aws", "curl", "openssl", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: the program %q is not installed, so the commands of README.md, docs/quickstart.md and docs/doctor.md were not checked", program)
		}
	}
	t.Parallel()
	dir := t.TempDir()
	p := start(t, filepath.Join(dir, "sallyport-data"), "--quickstart")
	if n := strings.Count(p.guide, "\n"); n > 15 {
		t.Errorf("the guide has %d lines", n)
	}
	var guide []string // export, get-rest-apis, the curl that works, the one that is refused
	for line := range strings.Lines(p.guide) {
		if command, ok := strings.CutPrefix(line, "  "); ok {
			guide = append(guide, command)
		}
	}
	if len(guide) != 4 {
		t.Fatalf("the guide has %d commands:\n%s", len(guide), p.guide)
	}
	_, port, _ := net.SplitHostPort(p.Listeners["REGIONAL"])
	refusal := strings.TrimSpace(guide[3])
	script := []string{
		"set -euo pipefail",
		`trap 'echo "FAILED: $BASH_COMMAND" >&2' ERR`,
		`refused() { local code=0; "$@" || code=$?; test $code = 35; }`,
		`finding() { local code=0; "$@" || code=$?; test $code = 1; }`,
		"export AWS_CONFIG_FILE=/dev/null AWS_MAX_ATTEMPTS=1 AWS_PAGER=",
		guide[0], guide[1], guide[2], "refused " + refusal, "sleep 1", // as a reader takes to go on
	}
	run := 0
	for _, page := range []string{"README.md", "docs/quickstart.md", "docs/doctor.md"} {
		for _, block := range blocks(t, "../../"+page) {
			switch {
			case isOutput(block), strings.HasPrefix(block, "go run ./cmd/sallyport serve"), strings.HasPrefix(block, "go test"):
				continue
			}
			run++
			block = strings.NewReplacer("http://127.0.0.1:4566", p.Admin, ":8443", ":"+port, "go run ./cmd/sallyport", "sallyport").Replace(block)
			block = findingLine.ReplaceAllString(refusedLine.ReplaceAllString(block, "refused $1"), "finding $1")
			script = append(script, "echo '== "+page+"'", block)
		}
		if page == "README.md" {
			script = append(script, "echo '== try again'", refusal)
		}
	}
	if run < 8 {
		t.Errorf("only %d blocks of commands were found", run)
	}
	cmd := exec.Command("bash", "-c", strings.Join(script, "\n"))
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "AWS_PROFILE=of-another-project") // a reader may have one
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, says := range []string{
		`"backend":"good"`, `"alert":"protocol_version"`, `"policy":"SecurityPolicy_TLS13_1_3_2025_09"`, "+ TLSv1.2", // README
		`"Arn": "arn:aws:iam::000000000000:user/default"`, `{"pets":[]}`, "Verification: OK", `"backend":"wantscertificate"`, `"tls":"TLSv1.3"`, // the page
	} {
		if !strings.Contains(string(out), says) {
			t.Errorf("nothing printed %s", says)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	p.stop(t)
}
