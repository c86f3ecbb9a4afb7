package pki

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCredentials(t *testing.T) {
	a, b := Credential{"default", "AKIDA", "sA"}, Credential{"ci", "AKIDB", "s/B+="}
	for _, c := range []struct {
		name, text string
		want       []Credential
		err        string
	}{
		{"plain", "[default]\naws_access_key_id = AKIDA\naws_secret_access_key = sA\n", []Credential{a}, ""},
		{"no spaces, no last newline", "[default]\naws_access_key_id=AKIDA\naws_secret_access_key=sA", []Credential{a}, ""},
		{"CRLF and a byte order mark", "\ufeff[default]\r\naws_access_key_id = AKIDA\r\naws_secret_access_key = sA\r\n", []Credential{a}, ""},
		{"two profiles, = in the secret", "[default]\naws_access_key_id=AKIDA\naws_secret_access_key=sA\n[ci]\naws_access_key_id=AKIDB\naws_secret_access_key=s/B+=\n", []Credential{a, b}, ""},
		{"comments", "# c\n; c\n[default] # c\naws_access_key_id = AKIDA # c\naws_secret_access_key = sA\t; c\n", []Credential{a}, ""},
		{"names in any case", "[default]\nAWS_ACCESS_KEY_ID=AKIDA\nAws_Secret_Access_Key=sA\n", []Credential{a}, ""},
		{"unknown and nested properties", "[default]\nregion = x\naws_access_key_id=AKIDA\ns3 =\n  aws_access_key_id = nested\naws_secret_access_key=sA\nword\n", []Credential{a}, ""},
		{"blanks in the brackets", "[ default ]\naws_access_key_id=AKIDA\naws_secret_access_key=sA\n", []Credential{a}, ""},
		{"a section continued, the last counts", "[default]\naws_access_key_id=OLD\naws_access_key_id=AKIDA\n[x]\n[default]\naws_secret_access_key=sA\n", []Credential{a}, ""},
		{"a profile without keys", "[role]\nrole_arn=x\n[default]\naws_access_key_id=AKIDA\naws_secret_access_key=sA\n", []Credential{a}, ""},
		{"before any section, and in a broken one", "aws_access_key_id=NO\n[broken\naws_access_key_id=NO\n[default]\naws_access_key_id=AKIDA\naws_secret_access_key=sA\n", []Credential{a}, ""},
		{"one key in two profiles", "[default]\naws_access_key_id=AKIDA\naws_secret_access_key=sA\n[again]\naws_access_key_id=AKIDA\naws_secret_access_key=sA\n", []Credential{a, {"again", "AKIDA", "sA"}}, ""},

		{"empty", "", nil, "no profile with"},
		{"no keys", "[default]\nregion=x\n", nil, "no profile with"},
		{"no secret", "[default]\naws_access_key_id=AKIDA\n", nil, `profile "default" has no aws_secret_access_key`},
		{"no id", "[ci]\naws_secret_access_key=SECRET\n", nil, `profile "ci" has no aws_access_key_id`},
		{"one id, two secrets", "[a]\naws_access_key_id=A\naws_secret_access_key=SECRET\n[b]\naws_access_key_id=A\naws_secret_access_key=SECRET2\n", nil, `profile "b" has another secret`},
		{"too many", strings.Repeat("[p%d]\n", 1) + manyProfiles(maxCredentials), nil, "more than 1000 profiles"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseCredentials([]byte(c.text))
			if c.err != "" {
				refused(t, err, c.err)
				if strings.Contains(err.Error(), "SECRET") {
					t.Errorf("the error tells the secret: %v", err)
				}
				return
			}
			must(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func manyProfiles(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[%d]\n", i)
	}
	return b.String()
}

func TestEnsureCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	made, err := EnsureCredentials(path)
	must(t, err)
	again, err := EnsureCredentials(path)
	must(t, err)
	other, err := EnsureCredentials(filepath.Join(t.TempDir(), "credentials"))
	must(t, err)
	if diff := cmp.Diff(made, again); diff != "" {
		t.Error(diff)
	}
	c := made[0]
	if len(made) != 1 || c.Profile != "default" || c == other[0] || c.AccessKeyID == other[0].AccessKeyID ||
		!regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(c.AccessKeyID) ||
		!regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(c.SecretAccessKey) {
		t.Errorf("made %s, secret of %d characters", c, len(c.SecretAccessKey))
	}
	// No way of printing tells the secret.
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "credential", c, "all", made)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, c), fmt.Sprintf("%+v %#v", made, made), log.String()} {
		if strings.Contains(text, c.SecretAccessKey) {
			t.Errorf("the secret is printed: %s", text)
		}
	}
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.HasPrefix(string(text), "[default]\n") {
		t.Errorf("file begins %.10q", text)
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add([]byte("[default]\naws_access_key_id = A\naws_secret_access_key = s # c\n"))
	f.Add([]byte("\ufeff[a\r\n[]\n=\n = \naws_access_key_id\n"))
	f.Add(newCredentials())
	f.Fuzz(func(t *testing.T, text []byte) {
		creds, err := ParseCredentials(text)
		if (err == nil) != (len(creds) > 0) {
			t.Errorf("%d profiles, %v", len(creds), err)
		}
		for _, c := range creds {
			if c.AccessKeyID == "" || c.SecretAccessKey == "" || strings.ContainsAny(c.AccessKeyID+c.SecretAccessKey, "\n") {
				t.Errorf("profile %q is not whole", c.Profile)
			}
		}
	})
}
