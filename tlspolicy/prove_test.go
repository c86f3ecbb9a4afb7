package tlspolicy

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestProve(t *testing.T) {
	for _, p := range All() {
		if err := p.Prove(); err != nil {
			t.Error(err)
		}
	}
	if err := new(Policy).Prove(); err == nil {
		t.Error("the zero Policy proves itself")
	}
	if err := (*Policy)(nil).Prove(); err == nil {
		t.Error("a nil Policy proves itself")
	}
}

// TestProveUnderSettings runs Prove in a process of its own for each setting,
// because crypto/tls reads GODEBUG where no test can reach it.
func TestProveUnderSettings(t *testing.T) {
	if os.Getenv("TLSPOLICY_PROVE") != "" {
		for _, p := range All() {
			fmt.Printf("PROOF\t%s\t%v\n", p, p.Prove())
		}
		return
	}
	postQuantum := func(p *Policy) bool { return p.PostQuantum }
	tests := []struct {
		godebug string
		fails   func(*Policy) bool
		reason  string // in every error
	}{
		{"", func(*Policy) bool { return false }, ""},
		{"tlsmlkem=0", postQuantum, "GODEBUG=tlsmlkem=0"},
		{"tlssecpmlkem=0", postQuantum, "GODEBUG=tlssecpmlkem=0"},
		// Module in FIPS mode: only what it approves can be served.
		{"fips140=on", func(p *Policy) bool {
			return p.Name != "SecurityPolicy_TLS13_1_3_FIPS_2025_09" && p.Name != "SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09"
		}, "FIPS 140-3 mode is on"},
		// What these bring back or take away by default is listed explicitly.
		{"tlsrsakex=1,tls3des=1,tls10server=1", func(*Policy) bool { return false }, ""},
	}
	for _, tt := range tests {
		t.Run("GODEBUG="+tt.godebug, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestProveUnderSettings$", "-test.v")
			cmd.Env = append(os.Environ(), "TLSPOLICY_PROVE=1", "GODEBUG="+tt.godebug)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := make(map[string]string)
			for line := range strings.Lines(string(out)) {
				if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 && f[0] == "PROOF" {
					got[f[1]] = f[2]
				}
			}
			for _, p := range All() {
				answer, ok := got[p.String()]
				switch {
				case !ok:
					t.Fatalf("%s: no answer in\n%s", p, out)
				case tt.fails(p) != (answer != "<nil>"):
					t.Errorf("%s: %s", p, answer)
				case tt.fails(p) && !strings.Contains(answer, tt.reason):
					t.Errorf("%s: error %q does not name %q", p, answer, tt.reason)
				}
			}
		})
	}
}

func BenchmarkProve(b *testing.B) {
	for b.Loop() {
		for _, p := range All() {
			if err := p.Prove(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
