package rawhello

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"testing"
)

func config(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS10, NextProtos: []string{"h2"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// TestAgainstCryptoTLS: crypto/tls understands every hello as it was meant,
// and its answers are read right.
func TestAgainstCryptoTLS(t *testing.T) {
	base := config(t)
	const gcm, sha = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
	hybrids := []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}
	classical := []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	tests := []struct {
		hello Hello
		want  Answer
		alert uint8
	}{
		{Hello{Version: tls.VersionTLS12, Suites: []uint16{gcm}, Groups: classical[1:2]}, Answer{Version: tls.VersionTLS12, Suite: gcm, Group: tls.CurveP256}, 0},
		{Hello{Version: tls.VersionTLS12, Suites: []uint16{gcm}, Groups: classical, ALPN: []string{"x", "h2"}}, Answer{Version: tls.VersionTLS12, Suite: gcm, Group: tls.X25519, ALPN: "h2"}, 0},
		{Hello{Version: tls.VersionTLS12, Suites: []uint16{gcm}, Groups: classical, Schemes: []tls.SignatureScheme{tls.PSSWithSHA256}}, Answer{}, 40},
		{Hello{Version: tls.VersionTLS12, Suites: []uint16{gcm}}, Answer{}, 40},
		{Hello{Version: tls.VersionTLS10, Suites: []uint16{sha}, Groups: classical, SessionID: []byte{1}}, Answer{Version: tls.VersionTLS10, Suite: sha, Group: tls.X25519}, 0},
		{Hello{Version: 0x0300, Suites: []uint16{sha}, Groups: classical}, Answer{}, 70},
		{Hello{Version: tls.VersionTLS13, Suites: []uint16{0x1303}, Groups: classical}, Answer{Version: tls.VersionTLS13, Suite: 0x1303, Group: tls.X25519, Retry: true}, 0},
		{Hello{Version: tls.VersionTLS13, Versions: []uint16{0x0A0A, 0x0303}, Suites: []uint16{0x1303, gcm}, Groups: classical}, Answer{Version: tls.VersionTLS12, Suite: gcm, Group: tls.X25519}, 0},
		{Hello{Version: tls.VersionTLS13, Suites: []uint16{0x1301}, Groups: []tls.CurveID{30, 0x6399}, Shares: []tls.CurveID{30, 0x6399}}, Answer{}, 40},
		{Hello{Version: tls.VersionTLS13, Suites: []uint16{0x1301}, Groups: classical, Shares: classical, Extensions: []Extension{{ID: 51}}}, Answer{}, 50}, // twice
	}
	for _, group := range slices.Concat(classical, hybrids) {
		tests = append(tests, struct {
			hello Hello
			want  Answer
			alert uint8
		}{Hello{Version: tls.VersionTLS13, Suites: []uint16{0x1302}, Groups: []tls.CurveID{group}, Shares: []tls.CurveID{group}},
			Answer{Version: tls.VersionTLS13, Suite: 0x1302, Group: group}, 0})
	}
	for _, tt := range tests {
		for _, fragment := range []int{0, 1, 5} {
			for _, step := range []int{0, 1, 3} {
				tt.hello.Fragment = fragment
				var info *tls.ClientHelloInfo
				c := base.Clone()
				c.GetConfigForClient = func(i *tls.ClientHelloInfo) (*tls.Config, error) { info = i; return nil, nil }
				conn := &Conn{In: Build(tt.hello), Step: step}
				_ = tls.Server(conn, c).Handshake()
				got, err := ReadServerHello(&conn.Out)
				var refused Refused
				if errors.As(err, &refused) {
					err = nil
				}
				if err != nil || got != tt.want || refused.Alert != tt.alert {
					t.Errorf("%+v: got %+v alert %d %v, want %+v alert %d", tt.hello, got, refused.Alert, err, tt.want, tt.alert)
				}
				if info != nil && (!slices.Equal(info.CipherSuites, tt.hello.Suites) || !slices.Equal(info.SupportedCurves, tt.hello.Groups) ||
					!slices.Equal(info.SupportedProtos, tt.hello.ALPN) || info.ServerName != tt.hello.ServerName) {
					t.Errorf("%+v was understood as %+v", tt.hello, info)
				}
			}
		}
	}
}

func TestReadServerHelloOfNonsense(t *testing.T) {
	record := func(typ byte, data ...byte) []byte {
		return append([]byte{typ, 3, 3, byte(len(data) >> 8), byte(len(data))}, data...)
	}
	huge := bytes.Repeat(record(22, make([]byte, 1<<14)...), 20)
	huge[6], huge[7], huge[5] = 0xFF, 0xFF, 2 // one message of 16 MiB
	tests := map[string][]byte{
		"nothing":             nil,
		"half a header":       {22, 3},
		"half a record":       {22, 3, 3, 0, 9, 2},
		"HTTP":                []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"another message":     record(22, 11, 0, 0, 0),
		"empty ServerHello":   record(22, 2, 0, 0, 0),
		"encrypted at once":   record(20, 1),
		"malformed alert":     record(21, 2),
		"a message too long":  huge,
		"endless empty ones":  bytes.Repeat(record(22), maxAnswer),
		"endless warnings":    bytes.Repeat(record(21, 1, 112), maxAnswer),
		"application data":    record(23, 1),
		"length beyond bytes": record(22, 2, 0, 0, 40),
	}
	for name, in := range tests {
		if a, err := ReadServerHello(bytes.NewReader(in)); err == nil {
			t.Errorf("%s: read as %+v", name, a)
		} else if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: bare EOF", name)
		}
	}
	if _, err := ReadServerHello(bytes.NewReader(append(record(21, 1, 112), record(21, 2, 40)...))); !errors.Is(err, Refused{40}) {
		t.Errorf("a warning before the alert: %v", err)
	}
}

func FuzzReadServerHello(f *testing.F) {
	base := config(f)
	for _, h := range []Hello{
		{Version: tls.VersionTLS12, Suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, Groups: []tls.CurveID{tls.X25519}, ALPN: []string{"h2"}},
		{Version: tls.VersionTLS13, Suites: []uint16{0x1301}, Groups: []tls.CurveID{tls.X25519}, Shares: []tls.CurveID{tls.X25519}},
		{Version: tls.VersionTLS13, Suites: []uint16{0x1301}, Groups: []tls.CurveID{tls.X25519}},
		{Version: 0x0300},
	} {
		c := &Conn{In: Build(h)}
		_ = tls.Server(c, base).Handshake()
		f.Add(c.Out.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		a, err := ReadServerHello(r)
		if len(in)-r.Len() > maxAnswer {
			t.Errorf("read %d bytes", len(in)-r.Len())
		}
		if err != nil && a != (Answer{}) {
			t.Errorf("%+v and %v", a, err)
		}
	})
}

func TestPipe(t *testing.T) {
	a, b := Pipe()
	if _, err := a.Write([]byte("xy")); err != nil { // nobody reads yet
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(b)
	if err != nil || string(got) != "xy" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := b.Write([]byte("z")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write after close: %v", err)
	}
	var _ net.Conn = a
}
