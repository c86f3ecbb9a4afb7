package pki

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	s := testSealer(1)
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("secret"), 1000)} {
		sealed := s.Seal("acm/material/1", plain)
		got, err := s.Open("acm/material/1", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open: %q, %v", got, err)
		}
		if len(plain) > 1 && bytes.Contains(sealed, plain[:2]) && bytes.Contains(sealed, plain) {
			t.Error("the secret shows")
		}
		if again := s.Seal("acm/material/1", plain); bytes.Equal(sealed, again) {
			t.Error("sealed twice to the same bytes: the nonce repeats")
		}
		for _, c := range []struct {
			name    string
			sealer  *Sealer
			context string
		}{
			{"another key", testSealer(2), "acm/material/1"},
			{"another context", s, "acm/material/2"},
			{"no context", s, ""},
		} {
			if _, err := c.sealer.Open(c.context, sealed); !errors.Is(err, ErrSealed) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		for i := 0; i < len(sealed); i += 1 + len(sealed)/64 {
			altered := bytes.Clone(sealed)
			altered[i] ^= 1
			if _, err := s.Open("acm/material/1", altered); !errors.Is(err, ErrSealed) {
				t.Errorf("byte %d altered: %v", i, err)
			}
			if _, err := s.Open("acm/material/1", sealed[:i]); !errors.Is(err, ErrSealed) {
				t.Errorf("cut to %d bytes: %v", i, err)
			}
		}
	}
}

func TestSealKeyFile(t *testing.T) {
	digits := strings.Repeat("0f", 32)
	for _, c := range []struct{ name, text, want string }{
		{"as made", digits + "\n", ""},
		{"without the newline", digits, ""},
		{"with CRLF", digits + "\r\n", ""},
		{"upper case", strings.ToUpper(digits), ""},
		{"short", digits[2:], "31 bytes long, not 32"},
		{"long", digits + "00", "33 bytes long, not 32"},
		{"odd", digits[1:], "not hexadecimal"},
		{"base64", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=", "not hexadecimal"},
		{"two keys", digits + "\n" + digits, "not hexadecimal"},
		{"blank", "\n", "0 bytes long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "seal.key")
			must(t, os.WriteFile(path, []byte(c.text), 0o600))
			_, err := OpenSealKey(path)
			if c.want == "" {
				must(t, err)
				return
			}
			refused(t, err, path, c.want)
			if len(c.text) > 8 && strings.Contains(err.Error(), c.text[:8]) {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
	// The key of one opening opens what that of another sealed.
	path := filepath.Join(t.TempDir(), "seal.key")
	first, err := OpenSealKey(path)
	must(t, err)
	second, err := OpenSealKey(path)
	must(t, err)
	if got, err := second.Open("c", first.Seal("c", []byte("secret"))); err != nil || string(got) != "secret" {
		t.Errorf("Open: %q, %v", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	s := testSealer(1)
	f.Add("", []byte{})
	f.Add("c", s.Seal("c", []byte("secret")))
	f.Add("c", make([]byte, sealOverhead))
	f.Add("c", append([]byte{sealVersion}, make([]byte, sealOverhead)...))
	f.Fuzz(func(t *testing.T, context string, sealed []byte) {
		if plain, err := s.Open(context, sealed); err == nil {
			if len(plain) != len(sealed)-sealOverhead {
				t.Errorf("%d bytes out of %d", len(plain), len(sealed))
			}
		} else if !errors.Is(err, ErrSealed) || plain != nil {
			t.Errorf("%q, %v", plain, err)
		}
		if plain, err := s.Open(context, s.Seal(context, sealed)); err != nil || !bytes.Equal(plain, sealed) {
			t.Errorf("round trip: %q, %v", plain, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s, plain := testSealer(1), make([]byte, 1200) // an RSA-2048 key in PKCS #8
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Seal("acm/material/1", plain)
		}
	})
	b.Run("open", func(b *testing.B) {
		sealed := s.Seal("acm/material/1", plain)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Open("acm/material/1", sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
