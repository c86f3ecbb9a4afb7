package httpwire

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Clients of others: each sends and receives bodies, small and large, alone and
// many at once, and finds nothing to complain about.
func TestH2Clients(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) {
		n := 0
		fmt.Sscanf(x.RawPath, "/%d", &n)
		if x.Method == "POST" {
			b, err := io.ReadAll(x.Body)
			if err != nil {
				t.Error(err)
			}
			x.Respond(200, nil, int64(len(b)))
			x.Write(b)
			return
		}
		x.Respond(200, Header{{"Content-Type", "application/octet-stream"}}, int64(n))
		x.Write(bytes.Repeat([]byte("x"), n))
	}}, true)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.tls.Certificates[0].Certificate[0]})
	upload := filepath.Join(dir, "upload")
	for name, content := range map[string][]byte{ca: cert, upload: bytes.Repeat([]byte("0123456789abcdef"), 1<<17)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := net.SplitHostPort(h.addr)
	url := "https://test.example:" + port
	address := "https://" + h.addr
	for _, tt := range []struct {
		program string
		args    []string
		want    string // pattern of what it prints
	}{
		{"curl", []string{"-sS", "--http2", "--cacert", ca, "--resolve", "test.example:" + port + ":127.0.0.1", "-o", "/dev/null",
			"-w", "%{http_version} %{http_code} %{size_download}", url + "/1000"}, `^2 200 1000$`},
		{"curl", []string{"-sS", "--http2", "--cacert", ca, "--resolve", "test.example:" + port + ":127.0.0.1", "-o", "/dev/null",
			"-w", "%{http_version} %{http_code} %{size_download}", url + "/20000000"}, `^2 200 20000000$`},
		{"curl", []string{"-sS", "--http2", "--cacert", ca, "--resolve", "test.example:" + port + ":127.0.0.1", "-o", "/dev/null",
			"-w", "%{http_version} %{http_code} %{size_download}", "--data-binary", "@" + upload, url + "/"}, `^2 200 2097152$`},
		{"curl", []string{"-sS", "--http2", "--cacert", ca, "--resolve", "test.example:" + port + ":127.0.0.1", "-o", "/dev/null",
			"-w", "%{http_version} %{http_code} %{size_download}", "-H", "Expect: 100-continue", "--data-binary", "@" + upload, url + "/"}, `^2 200 2097152$`},
		{"curl", []string{"-sS", "--http2", "--cacert", ca, "--resolve", "test.example:" + port + ":127.0.0.1", "-I", url + "/1000"}, `(?s)^HTTP/2 200 .*content-length: 1000`},
		{"nghttp", []string{"-nv", address + "/1000"}, `(?s):status: 200.*END_STREAM`},
		{"nghttp", []string{"-n", "-s", "-d", upload, address + "/"}, `\s200\s+2M`},
		{"nghttp", []string{"-n", "-s", "-w", "1", "-W", "1", address + "/10000"}, `\s200\s+9K`},
		{"h2load", []string{"-n", "20000", "-c", "10", "-m", "50", address + "/1000"}, `20000 succeeded, 0 failed, 0 errored`},
		{"h2load", []string{"-n", "400", "-c", "4", "-m", "20", address + "/200000"}, `400 succeeded, 0 failed, 0 errored`},
		{"h2load", []string{"-n", "100", "-c", "4", "-m", "20", "-d", upload, address + "/"}, `100 succeeded, 0 failed, 0 errored`},
		{"h2load", []string{"-n", "2000", "-c", "2", "-m", "100", "-w", "8", "-W", "9", address + "/5000"}, `2000 succeeded, 0 failed, 0 errored`},
	} {
		t.Run(tt.program, func(t *testing.T) {
			if _, err := exec.LookPath(tt.program); err != nil {
				t.Skipf("SKIPPED: %s is missing; it is not tried on HTTP/2", tt.program)
			}
			out, err := exec.Command(tt.program, tt.args...).CombinedOutput()
			if err != nil || !regexp.MustCompile(tt.want).Match(out) {
				t.Errorf("%s: %v\n%.2000s", strings.Join(tt.args, " "), err, out)
			}
		})
	}
}
