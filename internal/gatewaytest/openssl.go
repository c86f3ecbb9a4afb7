package gatewaytest

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	opensslProtocol = regexp.MustCompile(`(?m)^\s*(?:Protocol\s*:\s*|New, )(TLSv1(?:\.\d)?)`)
	opensslCipher   = regexp.MustCompile(`Cipher is (\S+)`)
)

// OpenSSL handshakes with a listener by `openssl s_client`, sending host as
// SNI, and returns protocol and cipher as OpenSSL names them; both are "" when
// the handshake failed. Output is all that OpenSSL said.
func (w *World) OpenSSL(t testing.TB, listener, host string, args ...string) (protocol, cipher, output string) {
	t.Helper()
	Need(t, "openssl")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	args = append([]string{"s_client", "-connect", w.Runtime.Listeners[listener], "-servername", host}, args...)
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Stdin = strings.NewReader("")
	out, _ := cmd.CombinedOutput() // a refused handshake exits with 1: the output tells
	output = string(out)
	if m := opensslCipher.FindStringSubmatch(output); m != nil && m[1] != "(NONE)" {
		cipher = m[1]
		if p := opensslProtocol.FindStringSubmatch(output); p != nil {
			protocol = p[1]
		}
	}
	return protocol, cipher, output
}

// AWS runs the AWS CLI against the gateway and returns what it printed; the
// error carries its standard error.
func (w *World) AWS(t testing.TB, args ...string) (string, error) {
	t.Helper()
	Need(t, "aws")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "aws", append([]string{"--output", "json"}, args...)...)
	cmd.Env = w.Env()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), &CommandError{Args: args, Stderr: strings.TrimSpace(stderr.String()), Err: err}
	}
	return string(out), nil
}

// CommandError is a program that failed, with what it said.
type CommandError struct {
	Args   []string
	Stderr string
	Err    error
}

func (e *CommandError) Error() string {
	return strings.Join(e.Args, " ") + ": " + e.Err.Error() + ": " + e.Stderr
}
func (e *CommandError) Unwrap() error { return e.Err }
