package backgate

import (
	"errors"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, tc := range []struct{ text, host, reason string }{
		{"https://backend.example.com", "backend.example.com", ""},
		{"HTTPS://backend.example.com:8443/a/b?q=1#f", "backend.example.com:8443", ""},
		{"https://10.0.0.1:443?x", "10.0.0.1:443", ""},
		{"https://[2001:db8::1]:8443/", "[2001:db8::1]:8443", ""},
		{"https://my_host.internal./", "my_host.internal.", ""},
		{"", "", "the URL is empty"},
		{"backend.example.com", "", "is no URL"},
		{"backend.example.com:443", "", "is no URL"},
		{"http://backend.example.com", "", "has no TLS"},
		{"ftp://backend.example.com", "", `scheme "ftp"`},
		{"https://", "", "names no host"},
		{"https:///path", "", "names no host"},
		{"https://:443", "", "names no host"},
		{"https://user:secret@backend.example.com", "", "user name"},
		{"https://bäckend.example.com", "", "not ASCII"},
		{"https://2001:db8::1/", "", "is no host"},
		{"https://a:0", "", `port "0"`},
		{"https://a:65536", "", `port "65536"`},
		{"https://a:b", "", `port "b"`},
		{"https://a b", "", "is no host"},
		{"https://a%2eb", "", "is no host"},
		{"https://a\x1b[2J", "", "is no host"},
		{"https://${stageVariables.host}/x", "", "fills in"},
		{"https://a.example.com/{proxy}", "", "fills in"},
	} {
		scheme, host, err := ParseURL(tc.text)
		if tc.reason == "" {
			if err != nil || scheme != "https" || host != tc.host {
				t.Errorf("%q: %s %s %v, want %s", tc.text, scheme, host, err, tc.host)
			}
			continue
		}
		var refused *URLError
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, tc.reason) || refused.Hint == "" || strings.ContainsRune(refused.Reason+refused.Hint, 0x1b) {
			t.Errorf("%q: %v, want %s", tc.text, err, tc.reason)
		}
	}
}

func TestParseServerName(t *testing.T) {
	for name, ok := range map[string]bool{"a.example.com": true, "10.0.0.1": true, "": false, "a:443": false, "https://a": false, "a b": false} {
		if err := ParseServerName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"https://a:1/", "https://[::1", "http://", "https://a@b", "https://{x}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, host, err := ParseURL(text); err == nil && !validAuthority(host) {
			t.Errorf("%q: host %q got through", text, host)
		}
	})
}
