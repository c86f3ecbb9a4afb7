package pki

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
)

// Bounds of a credentials file.
const (
	maxCredentialsFile = 256 << 10
	maxCredentials     = 1000
)

// Credential is one profile of a credentials file.
type Credential struct {
	Profile         string // "default" is the one made at first run
	AccessKeyID     string
	SecretAccessKey string `json:"-"` // never into a log by way of JSON
}

// String leaves the secret out.
func (c Credential) String() string { return c.Profile + " " + c.AccessKeyID }

// GoString leaves the secret out.
func (c Credential) GoString() string {
	return fmt.Sprintf("pki.Credential{%q, %q}", c.Profile, c.AccessKeyID)
}

// LogValue leaves the secret out.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// EnsureCredentials returns the profiles of the AWS shared-credentials file at
// path, in file order. If it does not exist it is created, mode 0600, with a
// profile "default" of random keys: an access key id of AKIA and 16 characters,
// a secret of 40. A file that others may read or that holds no complete profile
// is an error naming it.
func EnsureCredentials(path string) ([]Credential, error) {
	RemoveLeftovers(path)
	text, err := readPrivate(path, maxCredentialsFile)
	if errors.Is(err, fs.ErrNotExist) {
		text = newCredentials()
		err = CreateFileAtomic(path, text, 0o600)
		if errors.Is(err, fs.ErrExist) { // another process was first: its keys count
			text, err = readPrivate(path, maxCredentialsFile)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	creds, err := ParseCredentials(text)
	if err != nil {
		return nil, fmt.Errorf("credentials: %s: %w", path, err)
	}
	return creds, nil
}

func newCredentials() []byte {
	id, secret := make([]byte, 10), make([]byte, 30)
	rand.Read(id)     //nolint:errcheck // it never fails: crypto/rand.Read
	rand.Read(secret) //nolint:errcheck // likewise
	return fmt.Appendf(nil, "[default]\naws_access_key_id = AKIA%s\naws_secret_access_key = %s\n",
		base32.StdEncoding.EncodeToString(id), base64.StdEncoding.EncodeToString(secret))
}

// ParseCredentials reads a shared-credentials file as leniently as AWS's own
// clients: comments (# or ; at a line's start, or after white space), CRLF,
// names in any case, unknown and indented properties, sections that continue
// and properties that are repeated (the last counts) are all fine, and a
// profile without keys is passed over. Half a pair is an error, as are two
// profiles with one access key id but different secrets.
// Source: AWS SDKs and Tools reference guide, file-format.
func ParseCredentials(text []byte) ([]Credential, error) {
	var creds []Credential
	current := -1 // index into creds; -1 is nowhere
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	lines.Buffer(nil, maxCredentialsFile)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.ContainsAny(line[:1], " \t#;") {
			continue // indented lines belong to a nested property
		}
		line = strings.TrimSpace(uncomment(line))
		if name, ok := strings.CutPrefix(line, "["); ok {
			name, closed := strings.CutSuffix(name, "]")
			if current = -1; !closed {
				continue
			}
			name = strings.TrimSpace(name)
			for i := range creds {
				if creds[i].Profile == name {
					current = i
				}
			}
			if current < 0 {
				if len(creds) == maxCredentials {
					return nil, fmt.Errorf("more than %d profiles", maxCredentials)
				}
				creds = append(creds, Credential{Profile: name})
				current = len(creds) - 1
			}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || current < 0 {
			continue
		}
		switch value = strings.TrimSpace(value); strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			creds[current].AccessKeyID = value
		case "aws_secret_access_key":
			creds[current].SecretAccessKey = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	complete := creds[:0]
	secrets := make(map[string]string, len(creds))
	for _, c := range creds {
		switch secret, known := secrets[c.AccessKeyID]; {
		case c.AccessKeyID == "" && c.SecretAccessKey == "":
			continue
		case c.AccessKeyID == "":
			return nil, fmt.Errorf("profile %q has no aws_access_key_id", c.Profile)
		case c.SecretAccessKey == "":
			return nil, fmt.Errorf("profile %q has no aws_secret_access_key", c.Profile)
		case known && secret != c.SecretAccessKey:
			return nil, fmt.Errorf("profile %q has another secret for an access key id named before", c.Profile)
		}
		secrets[c.AccessKeyID] = c.SecretAccessKey
		complete = append(complete, c)
	}
	if len(complete) == 0 {
		return nil, errors.New("no profile with aws_access_key_id and aws_secret_access_key")
	}
	return complete, nil
}

// uncomment cuts a comment that begins after white space; a # or ; inside a
// value is part of it.
func uncomment(line string) string {
	for i := 1; i < len(line); i++ {
		if (line[i] == '#' || line[i] == ';') && (line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}
