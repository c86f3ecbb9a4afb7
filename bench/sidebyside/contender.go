//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/pki"
)

// contender is a gateway that is measured.
type contender struct {
	Name string // as the -peers flag and the table have it
	// find returns the program, building it if need be, and its version. An
	// error of errMissing leaves the contender out of the table with a line
	// that says why.
	find func(ctx context.Context, h *house) (program, version string, err error)
	// launch starts the program on cores and returns once it listens on the
	// address. It may use dir for its files; its access log goes there.
	launch func(ctx context.Context, p placing) (*process, string, error)
	// setting says in a few words what the reader of the table should know.
	setting string
}

// errMissing marks a contender that this machine does not have.
var errMissing = errors.New("not here")

// contenders are the rows of the table. Versions of what is built are fixed
// here, so that two runs compare.
var contenders = []contender{
	{"Sallyport", findSallyport, launchSallyport, "access log in Common Log Format and connection log; policy " + string(policy) + ", STRICT"},
	{"nginx", debian("nginx", "-v", `nginx/(\S+)`), launchNginx, "access log `combined`, buffered for at most a second; upstream keepalive"},
	{"HAProxy", debian("haproxy", "-v", `version (\S+)`), launchHAProxy, "`option httplog` on stdout, a file; `http-reuse always`"},
	{"Caddy", module("github.com/caddyserver/caddy/v2", "v2.11.9", "cmd/caddy"), launchCaddy, "access log in JSON, its default"},
	{"Traefik", module("github.com/traefik/traefik/v3", "v3.6.12", "cmd/traefik"), launchTraefik, "access log in Common Log Format, buffered by 100 lines"},
	{"Traefik fastProxy", module("github.com/traefik/traefik/v3", "v3.6.12", "cmd/traefik"), launchTraefikFast, "the same with `experimental.fastProxy`"},
}

// house is what all contenders share during a run.
type house struct {
	source  string // the working tree
	cache   string // where built peers are kept
	dir     string // temporary
	roots   []byte // PEM: the root of all leaves
	leaves  map[string]leaf
	backend backendInfo
}

// leaf is a certificate in files.
type leaf struct {
	certificate, key, both string // PEM files
	certificatePEM, keyPEM []byte
}

// rootsFile holds the root that backends chain to.
func (h *house) rootsFile() string { return filepath.Join(h.dir, "roots.pem") }

// placing is where and how one contender starts.
type placing struct {
	*house
	name, program string
	dir           string // the contender's own
	cores         cores
	threads       int // how many cores those are
}

// furnish makes the certificates: the leaves that clients see, and the
// backend's, all from one root.
func (h *house) furnish() (backendSpec, error) {
	root, err := pki.NewAuthority("bench")
	if err != nil {
		return backendSpec{}, err
	}
	h.roots = root.PEM()
	if err := os.WriteFile(h.rootsFile(), h.roots, 0o644); err != nil {
		return backendSpec{}, err
	}
	h.leaves = map[string]leaf{}
	for name, o := range map[string]pki.LeafOptions{
		ecdsaName:   {Names: []string{ecdsaName}},
		rsaName:     {Names: []string{rsaName}, Kind: pki.RSA2048},
		"localhost": {Names: []string{"localhost", "127.0.0.1"}},
	} {
		issued, err := root.Leaf(o)
		if err != nil {
			return backendSpec{}, err
		}
		l := leaf{certificatePEM: issued.CertificatePEM()}
		if l.keyPEM, err = issued.KeyPEM(); err != nil {
			return backendSpec{}, err
		}
		for _, f := range []struct {
			path   *string
			suffix string
			text   []byte
		}{
			{&l.certificate, ".crt", l.certificatePEM},
			{&l.key, ".key", l.keyPEM},
			{&l.both, ".pem", append(append([]byte(nil), l.certificatePEM...), l.keyPEM...)},
		} {
			*f.path = filepath.Join(h.dir, name+f.suffix)
			if err := os.WriteFile(*f.path, f.text, 0o600); err != nil {
				return backendSpec{}, err
			}
		}
		h.leaves[name] = l
	}
	return backendSpec{Certificate: h.leaves["localhost"].certificatePEM, Key: h.leaves["localhost"].keyPEM}, nil
}

// write puts a configuration file into the contender's folder.
func (p placing) write(name, text string) (string, error) {
	path := filepath.Join(p.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// expand replaces what contenders' configurations share.
func (p placing) expand(text, addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	e, r := p.leaves[ecdsaName], p.leaves[rsaName]
	return strings.NewReplacer(
		"{dir}", p.dir, "{addr}", addr, "{port}", port, "{threads}", strconv.Itoa(p.threads),
		"{plain}", p.backend.Plain, "{tls}", p.backend.TLS, "{roots}", p.rootsFile(),
		"{ecdsa}", ecdsaName, "{ecdsa.crt}", e.certificate, "{ecdsa.key}", e.key, "{ecdsa.pem}", e.both,
		"{rsa}", rsaName, "{rsa.crt}", r.certificate, "{rsa.key}", r.key, "{rsa.pem}", r.both,
	).Replace(text)
}

// launchWith writes a configuration and starts the program with it on a free
// port, until it accepts connections.
func (p placing) launchWith(ctx context.Context, file, config string, args ...string) (*process, string, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	if _, err := p.write(file, p.expand(config, addr)); err != nil {
		return nil, "", err
	}
	for i := range args {
		args[i] = p.expand(args[i], addr)
	}
	cmd := p.cores.command(p.program, args...)
	cmd.Dir = p.dir
	// Nothing of the user's own settings gets in, nor of ours out.
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
	child, err := start(p.name, p.dir, cmd)
	if err != nil {
		return nil, "", err
	}
	if err := child.ready(ctx, func() error {
		conn, err := net.DialTimeout("tcp", addr, dialTimeout)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		child.stop()
		text, _ := os.ReadFile(filepath.Join(p.dir, p.name+".out")) // for the message alone
		return nil, "", fmt.Errorf("%w\n%s", err, tail(text, 1<<10))
	}
	return child, addr, nil
}

// freeAddr is a loopback address that nobody listens on at this moment.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func tail(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

// groups is how OpenSSL programs name the groups that they shall offer. One
// that does not know ML-KEM would refuse its name.
func groups(mlkem bool) string {
	if mlkem {
		return "X25519MLKEM768:X25519:P-256"
	}
	return "X25519:P-256"
}

// knowsMLKEM reads which OpenSSL a program says that it runs on; X25519MLKEM768
// came with 3.5.
func knowsMLKEM(versionText string) bool {
	found := regexp.MustCompile(`(?i)running (?:with|on)[^\n]*?OpenSSL (\d+)\.(\d+)`).FindStringSubmatch(versionText)
	if found == nil {
		found = regexp.MustCompile(`(?i)built with[^\n]*?OpenSSL (\d+)\.(\d+)`).FindStringSubmatch(versionText)
	}
	if found == nil {
		return false
	}
	major, _ := strconv.Atoi(found[1])
	minor, _ := strconv.Atoi(found[2])
	return major > 3 || major == 3 && minor >= 5
}
