package httpwire

import (
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// h2specExceptions are the cases of h2spec that we answer otherwise on purpose.
// docs/http2.md gives the reasons.
var h2specExceptions = []string{}

// TestH2Spec runs the conformance suite of somebody else, strictly. It needs
// the program h2spec, in the PATH or named by H2SPEC:
//
//	go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1
func TestH2Spec(t *testing.T) {
	program := os.Getenv("H2SPEC")
	if program == "" {
		var err error
		if program, err = exec.LookPath("h2spec"); err != nil {
			t.Skip("SKIPPED: h2spec is missing; HTTP/2 conformance is not tested")
		}
	}
	h := newHost(t, Options{Handler: func(x *Exchange) {
		io.Copy(io.Discard, x.Body)
		x.Respond(200, nil, 5)
		io.WriteString(x, "hello")
	}}, true)
	_, port, _ := net.SplitHostPort(h.addr)
	out, err := exec.Command(program, "-t", "-k", "-S", "-h", "127.0.0.1", "-p", port).CombinedOutput()
	m := regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	passed, _ := strconv.Atoi(string(m[2]))
	t.Logf("%s", m[0])
	if passed != 146-len(h2specExceptions) {
		t.Errorf("h2spec: %s\n%s", m[0], out)
	}
}
