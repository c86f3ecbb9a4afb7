// Package config turns flags, environment, file and defaults into one checked
// Config. Every setting is a row of Keys: its flag, its environment variable,
// its key in the file, the JSON Schema and the reference page are made from
// that row. A flag wins over the environment (SALLYPORT_*), the environment
// over the file, the file over the default. Nothing is guessed: an unknown key
// or a value that does not parse is refused with its file and line.
//
//	c, err := config.Load(config.Sources{File: "sallyport.yaml", Getenv: os.LookupEnv})
package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is the operator's settings. The zero value is not usable; Load and
// Default make usable ones. It is a value: copies do not share lists.
type Config struct {
	File      string // where the file values came from, "" when there is none
	DataDir   string // absolute
	SealKey   string // absolute
	Admin     string // host:port
	Listen    []Listener
	Region    string
	AccountID string // 12 digits
	// DomainSuffixes of default endpoints, {api}.execute-api.{region}.{suffix}.
	DomainSuffixes []string
	TrustBundles   []string // PEM files, absolute; added to the system's roots
	// AllowBackends are special address ranges (loopback, link-local ...) that
	// integrations may reach all the same.
	AllowBackends []netip.Prefix
	// Targets are what VPC links lead to: the ARN of a load balancer, a listener
	// or a Cloud Map service, the ARN or name of a search cluster -> where the
	// operator has it, host:port each, in the order written.
	Targets map[string][]string
	// PropagationDelay is how long a changed policy or mode stays UPDATING; 0
	// to 24 h, 0 means until the gates enforce it (milliseconds).
	PropagationDelay time.Duration
	// VPC and VPCEndpoint are what a request on the PRIVATE listener is said to
	// come from ($context.identity.vpcId, aws:SourceVpc, aws:SourceVpce).
	VPC, VPCEndpoint string
	Quickstart       bool

	written map[string][]string // by key name: the values as written
}

// Listener is one first-gate listener.
type Listener struct {
	Type string // REGIONAL, EDGE, PRIVATE or HTTP
	Addr string // host:port; port 0 picks a free one
}

// Key is one setting.
type Key struct {
	Name       string   // flag and file key: "data-dir"
	Value      string   // placeholder in help texts: "DIR"
	Default    []string // as written; nil: none
	List       bool     // may be given several times
	Bool       bool     // a switch
	Reloadable bool     // HUP applies a change; else it waits for a restart
	Help       string   // one sentence without a full stop
	Pattern    string   // JSON Schema pattern of one value, "" for any text
	// Names is the pattern of NAME where values are NAME=VALUE and the file has a
	// mapping of names to a value or a list of values; "" for plain values.
	Names string
	set   func(c *Config, values []string) error
}

// Env is the environment variable of the key: SALLYPORT_DATA_DIR. Lists are
// separated by commas there.
func (k *Key) Env() string {
	return "SALLYPORT_" + strings.ToUpper(strings.ReplaceAll(k.Name, "-", "_"))
}

var (
	regionPattern = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	suffixPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	vpcPattern    = regexp.MustCompile(`^vpc-[0-9a-f]{8,17}$`)
	vpcePattern   = regexp.MustCompile(`^vpce-[0-9a-f]{8,17}$`)
	// targetPattern takes an ARN, or the name of a search domain.
	targetPattern  = regexp.MustCompile(`^(arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[!-~]+|[a-z][a-z0-9-]{2,27})$`)
	addressPattern = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$`)
)

// maxAddresses bounds the addresses of one target.
const maxAddresses = 64

// listenerTypes are the endpoint types a listener may serve, and HTTP for what
// may be asked for in plaintext: search domains that do not enforce HTTPS; every
// other request gets 403.
var listenerTypes = []string{"REGIONAL", "EDGE", "PRIVATE", "HTTP"}

// Keys lists every setting in the order in which help texts show them.
var Keys = []Key{
	{Name: "data-dir", Value: "DIR", Default: []string{"sallyport-data"}, Help: "folder for configuration, keys and logs", set: func(c *Config, v []string) error { return absolute(&c.DataDir, v[0]) }},
	{Name: "seal-key", Value: "FILE", Help: "key that seals secrets at rest (default DIR/seal.key)", set: func(c *Config, v []string) error { return absolute(&c.SealKey, v[0]) }},
	{Name: "admin", Value: "ADDR", Default: []string{"127.0.0.1:4566"}, Help: "address of the control plane (AWS API), health and metrics", set: func(c *Config, v []string) error { c.Admin = v[0]; return hostPort(v[0]) }},
	{Name: "listen", Value: "TYPE=ADDR", List: true, Default: []string{"REGIONAL=127.0.0.1:8443", "EDGE=127.0.0.1:8444", "PRIVATE=127.0.0.1:8445"}, Pattern: `^(REGIONAL|EDGE|PRIVATE|HTTP)=.+$`, Help: "first-gate listener; naming a type replaces its default address", set: setListen},
	{Name: "region", Value: "REGION", Default: []string{"us-east-1"}, Pattern: regionPattern.String(), Help: "AWS Region in host names and ARNs", set: func(c *Config, v []string) error {
		c.Region = v[0]
		return match(regionPattern, v[0], "a Region such as eu-central-1")
	}},
	{Name: "account-id", Value: "N", Default: []string{"000000000000"}, Pattern: `^[0-9]{12}$`, Help: "AWS account id in ARNs, 12 digits", set: func(c *Config, v []string) error {
		c.AccountID = v[0]
		return match(regexp.MustCompile(`^[0-9]{12}$`), v[0], "12 digits (quote it in YAML)")
	}},
	{Name: "domain-suffix", Value: "SUFFIX", List: true, Default: []string{"localhost", "amazonaws.com"}, Pattern: suffixPattern.String(), Help: "suffix of default endpoints, {api}.execute-api.{region}.{suffix}", set: func(c *Config, v []string) error {
		c.DomainSuffixes = v
		for _, s := range v {
			if err := match(suffixPattern, s, "a lower-case domain name without a leading dot"); err != nil {
				return err
			}
		}
		return nil
	}},
	{Name: "trust-bundle", Value: "FILE", List: true, Reloadable: true, Help: "PEM file of roots trusted for backends, beside the system's", set: func(c *Config, v []string) error {
		c.TrustBundles = make([]string, len(v))
		for i := range v {
			if err := absolute(&c.TrustBundles[i], v[i]); err != nil {
				return err
			}
		}
		return nil
	}},
	{Name: "allow-backend", Value: "CIDR", List: true, Reloadable: true, Help: "special address range (loopback, link-local) that integrations may reach", set: func(c *Config, v []string) error {
		c.AllowBackends = nil
		for _, s := range v {
			p, err := prefix(s)
			if err != nil {
				return err
			}
			c.AllowBackends = append(c.AllowBackends, p)
		}
		return nil
	}},
	{Name: "targets", Value: "NAME=HOST:PORT", List: true, Reloadable: true, Names: targetPattern.String(), Pattern: addressPattern.String(), Help: "where what VPC links lead to is found: NAME is the ARN of a load balancer, listener or Cloud Map service, or a search cluster's ARN or name", set: setTargets},
	{Name: "propagation-delay", Value: "D", Default: []string{"0s"}, Help: "how long a changed policy or mode stays UPDATING, to rehearse AWS's timing (15m)", set: func(c *Config, v []string) error {
		d, err := time.ParseDuration(v[0])
		if err != nil || d < 0 || d > 24*time.Hour {
			return fmt.Errorf("%q is not a duration between 0s and 24h, such as 15m", v[0])
		}
		c.PropagationDelay = d
		return nil
	}},
	{Name: "vpc-id", Value: "ID", Pattern: vpcPattern.String(), Help: "VPC id that requests on the PRIVATE listener carry", set: func(c *Config, v []string) error {
		c.VPC = v[0]
		return match(vpcPattern, v[0], "a VPC id such as vpc-0123abcd")
	}},
	{Name: "vpc-endpoint-id", Value: "ID", Pattern: vpcePattern.String(), Help: "VPC endpoint id that requests on the PRIVATE listener carry", set: func(c *Config, v []string) error {
		c.VPCEndpoint = v[0]
		return match(vpcePattern, v[0], "a VPC endpoint id such as vpce-0123abcd")
	}},
	{Name: "quickstart", Bool: true, Default: []string{"false"}, Help: "also start local HTTPS backends and one example API on them", set: func(c *Config, v []string) error {
		b, err := strconv.ParseBool(v[0])
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v[0])
		}
		c.Quickstart = b
		return nil
	}},
}

// KeyNamed returns the key with the given flag name, nil when there is none.
func KeyNamed(name string) *Key {
	i := slices.IndexFunc(Keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return nil
	}
	return &Keys[i]
}

// finish fills what depends on several settings and checks what ties them.
func (c *Config) finish() error {
	if c.SealKey == "" {
		c.SealKey = filepath.Join(c.DataDir, "seal.key")
	}
	return nil
}

func setListen(c *Config, values []string) error {
	seen := map[string]bool{}
	for _, v := range values {
		typ, addr, ok := strings.Cut(v, "=")
		switch {
		case !ok:
			return fmt.Errorf("%q is not TYPE=ADDR, such as REGIONAL=127.0.0.1:8443", v)
		case !slices.Contains(listenerTypes, typ):
			return fmt.Errorf("listener type %q is none of %s", typ, strings.Join(listenerTypes, ", "))
		case seen[typ]:
			return fmt.Errorf("listener type %s is given twice", typ)
		}
		seen[typ] = true
		if err := hostPort(addr); err != nil {
			return err
		}
		i := slices.IndexFunc(c.Listen, func(l Listener) bool { return l.Type == typ })
		if i < 0 {
			c.Listen = append(c.Listen, Listener{typ, addr})
		} else {
			c.Listen[i].Addr = addr
		}
	}
	return nil
}

// setTargets takes NAME=HOST:PORT, cut at the last equals sign, which no address
// has.
func setTargets(c *Config, values []string) error {
	c.Targets = map[string][]string{}
	for i, v := range values {
		at := strings.LastIndexByte(v, '=')
		if at < 0 {
			return inValue(i, fmt.Errorf("%q is not NAME=HOST:PORT, such as arn:aws:elasticloadbalancing:...=10.0.0.5:443", v))
		}
		name, addr := v[:at], v[at+1:]
		if err := match(targetPattern, name, "an ARN or the name of a search domain"); err != nil {
			return inValue(i, err)
		}
		if err := target(addr); err != nil {
			return inValue(i, fmt.Errorf("%s: %w", name, err))
		}
		if slices.Contains(c.Targets[name], addr) {
			return inValue(i, fmt.Errorf("%s: %s is given twice", name, addr))
		}
		if len(c.Targets[name]) == maxAddresses {
			return inValue(i, fmt.Errorf("%s: more than %d addresses", name, maxAddresses))
		}
		c.Targets[name] = append(c.Targets[name], addr)
	}
	return nil
}

// target accepts HOST:PORT that can be dialed.
func target(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !addressPattern.MatchString(addr) {
		return fmt.Errorf("%q is not HOST:PORT, such as 10.0.0.5:443", addr)
	}
	if _, err := netip.ParseAddr(host); strings.Contains(host, ":") && err != nil {
		return fmt.Errorf("%q is not HOST:PORT, such as [fd00::5]:443", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q has no port between 1 and 65535", addr)
	}
	return nil
}

// valueError says which of several values is refused.
type valueError struct {
	index int
	error
}

func (e valueError) Unwrap() error { return e.error }

func inValue(i int, err error) error { return valueError{i, err} }

func absolute(to *string, path string) error {
	if path == "" {
		return fmt.Errorf("the path is empty")
	}
	abs, err := filepath.Abs(path)
	*to = abs
	return err
}

func hostPort(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT, such as 127.0.0.1:8443", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q has no port between 0 and 65535", addr)
	}
	return nil
}

func match(re *regexp.Regexp, value, want string) error {
	if !re.MatchString(value) {
		return fmt.Errorf("%q is not %s", value, want)
	}
	return nil
}

// prefix takes a CIDR range or a single address.
func prefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, fmt.Errorf("%q is not a CIDR range such as 127.0.0.0/8", s)
}

// Differs names the settings in which c and other differ and which only a
// restart applies.
func (c Config) Differs(other Config) []string {
	var names []string
	for _, k := range Keys {
		if !k.Reloadable && !slices.Equal(c.written[k.Name], other.written[k.Name]) {
			names = append(names, k.Name)
		}
	}
	return names
}
