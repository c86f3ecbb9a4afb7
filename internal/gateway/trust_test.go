package gateway

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// A bundle is taken whole or refused, with the line of what is wrong.
func TestTrustBundle(t *testing.T) {
	authority, err := pki.NewAuthority("Bundle")
	if err != nil {
		t.Fatal(err)
	}
	good := string(authority.PEM())
	lines := strings.Count(good, "\n")
	junk := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("junk")}))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")}))
	for _, tc := range []struct {
		what, text string
		want       string // error; "": taken
		line       int
	}{
		{"one", good, "", 0},
		{"two, with text around", "# roots\n" + good + "# and\r\n" + good + "end\n", "", 0},
		{"empty", "", "no certificate in it", 0},
		{"binary", "\x30\x82\x00", "no certificate in it", 0},
		{"a good one, then one that does not parse", good + junk, "not a certificate", lines + 1},
		{"a good one, then one without an end", good + strings.TrimSuffix(good, "-----END CERTIFICATE-----\n"), "damaged or has no end", lines + 1},
		{"damaged text, then a good one", "\n" + strings.Replace(good, "MII", "M!!", 1) + good, "damaged or has no end", 2},
		{"a key", key, `a PEM block "PRIVATE KEY"`, 1},
		{"too large", good + string(bytes.Repeat([]byte("\n"), maxBundle)), "larger than", 0},
	} {
		path := filepath.Join(t.TempDir(), "bundle.pem")
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := backendRoots(config.Config{TrustBundles: []string{path}}, nil)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.what, err)
			}
			continue
		}
		where := "trust bundle " + path + ":"
		if tc.line > 0 {
			where += strconv.Itoa(tc.line) + ":"
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), where) {
			t.Errorf("%s: got %v, want %s ... %s", tc.what, err, where, tc.want)
		}
	}
}
