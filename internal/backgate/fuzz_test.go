package backgate

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// Whatever a backend presents, verify ends in a verdict that can be read, and
// skipping verification drops the one check only. The last certificate is
// trusted if trusted is set.
func FuzzVerify(f *testing.F) {
	root := issue(f, nil, authority("root"))
	middle := issue(f, root, authority("intermediate"))
	for _, certs := range [][]*issued{{issue(f, root, nil), root}, {issue(f, middle, nil), middle, root}, {issue(f, nil, expired)}, {issue(f, middle, otherName), middle}} {
		var der []byte
		for _, c := range certs {
			der = append(der, c.cert.Raw...)
		}
		f.Add(der, "localhost", true)
		f.Add(der, "127.0.0.1", false)
	}
	f.Fuzz(func(t *testing.T, der []byte, host string, trusted bool) {
		certs, err := x509.ParseCertificates(der)
		if err != nil || len(certs) == 0 || !validAuthority(host) {
			return
		}
		roots := x509.NewCertPool()
		if trusted {
			roots.AddCert(certs[len(certs)-1])
		}
		own := false
		for i, c := range certs {
			own = own || ownRoot(c, i == 0)
			p := presented(c)
			if text, err := json.Marshal(p); err != nil || len(text) > 1<<20 {
				t.Fatalf("%d bytes: %v", len(text), err)
			}
		}
		for _, now := range []time.Time{certs[0].NotBefore, certs[0].NotAfter, time.Now()} {
			strict, skipped := verify(certs, host, false, roots, now), verify(certs, host, true, roots, now)
			if strict == nil && skipped != nil || strict != nil && skipped == nil && !own {
				t.Errorf("%v, skipping verification: %v", strict, skipped)
			}
			for _, err := range []error{strict, skipped} {
				var e *Error
				if err == nil {
					continue
				}
				if !errors.As(err, &e) || e.Kind != reasons[e.reason].kind || e.Element() >= len(certs) || e.Element() < -1 {
					t.Fatalf("%T %v", err, err)
				}
				if why := e.Why(); why == "" || len(why) > maxWhy || strings.Contains(reasons[e.reason].why, "{cause}") && e.Cause == nil || len(e.Error()) > 4<<10 || e.Fix() == "" {
					t.Errorf("%d bytes: %s", len(why), why)
				}
			}
		}
	})
}

// Whatever a server says, what is found in it are parts of it.
func FuzzCertificatesIn(f *testing.F) {
	f.Add([]byte{22, 3, 3, 0, 11, 11, 0, 0, 7, 0, 0, 4, 0, 0, 1, 0x30})
	f.Add([]byte{22, 3, 3, 0, 4, 2, 0, 0, 0, 22, 3, 3, 0, 5, 11, 0, 0, 7, 0, 22, 3, 3, 0, 6, 0, 4, 0, 0, 1, 0x30})
	f.Fuzz(func(t *testing.T, stream []byte) {
		n := 0
		for _, der := range certificatesIn(stream) {
			n += 3 + len(der)
		}
		if n > len(stream) {
			t.Errorf("%d bytes of certificates in %d", n, len(stream))
		}
	})
}
