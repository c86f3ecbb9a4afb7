package snapshot

import (
	"strings"
	"testing"
)

func TestNormalizeHost(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"Example.COM", "example.com"},
		{"example.com.", "example.com"},
		{"example.com:8443", "example.com"},
		{"EXAMPLE.com.:8443", "example.com"},
		{"example.com:", "example.com"}, // RFC 3986 allows an empty port
		{"a_b-c.example.com", "a_b-c.example.com"},
		{"127.0.0.1:443", "127.0.0.1"},
		{"[::1]", "[::1]"},
		{"[0:0:0:0:0:0:0:1]:443", "[::1]"},
		{"[2001:DB8::1]", "[2001:db8::1]"},

		{"", ""},
		{".", ""},
		{"example.com..", ""}, // one trailing dot, not two
		{".example.com", ""},
		{"a..com", ""},
		{"example.com:443:443", ""},
		{"example.com:http", ""},
		{"example.com:+80", ""},
		{"example.com:65536", ""},
		{"::1", ""}, // an IPv6 literal needs its brackets
		{"[::1", ""},
		{"[::1]x", ""},
		{"[fe80::1%25eth0]", ""},
		{"[127.0.0.1]", ""},
		{"user@example.com", ""},
		{"example.com/x", ""},
		{"example.com\x00", ""},
		{"*.example.com", ""},
		{"e\u212aample.com", ""}, // Kelvin sign, which Unicode folds to k
		{"bücher.example", ""},
		{strings.Repeat("a", 254), ""},
	} {
		if got := NormalizeHost(c.in); got != c.want {
			t.Errorf("NormalizeHost(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzNormalizeHost(f *testing.F) {
	for _, s := range []string{"example.com", "Example.COM.:443", "[::1]:443", "a..b", ":", "[", "x:65535"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := NormalizeHost(s)
		if again := NormalizeHost(got); again != got {
			t.Fatalf("not idempotent: %q, %q, %q", s, got, again)
		}
		if got == "" {
			return
		}
		if strings.ToLower(got) != got || strings.HasSuffix(got, ".") || strings.ContainsAny(got, "@/\\?#% *") {
			t.Fatalf("NormalizeHost(%q) = %q", s, got)
		}
		for _, same := range []string{got + ":1", strings.ToUpper(got) + ":65535"} {
			if g := NormalizeHost(same); g != got {
				t.Fatalf("NormalizeHost(%q) = %q, want %q", same, g, got)
			}
		}
		if got[0] != '[' && len(got) < maxName {
			if g := NormalizeHost(got + "."); g != got {
				t.Fatalf("NormalizeHost(%q.) = %q, want %q", got, g, got)
			}
		}
	})
}
