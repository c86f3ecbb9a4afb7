package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/sigv4"
)

// running is a gateway that serves, as another command of the same program
// reaches it: by the extensions of its admin port.
type running struct {
	admin  string // http://127.0.0.1:4566
	region string
	key    sigv4.Credentials
}

// maxReply bounds a gateway's answer in bytes.
const maxReply = 32 << 20

// findRunning returns the gateway whose data folder is dir, by its runtime.json,
// or nil when none is running there. admin, when it is not "", is HOST:PORT of
// one that runs elsewhere: its keys are those that AWS's clients would take from
// the environment, else those of dir.
func findRunning(dir, admin, region string) (*running, error) {
	if admin != "" {
		key, err := environmentKey(filepath.Join(dir, "credentials"))
		return &running{admin: "http://" + admin, region: region, key: key}, err
	}
	path := filepath.Join(dir, "runtime.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r gateway.Runtime
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, err := readKey(r.Credentials, "default")
	return &running{admin: r.Admin, region: region, key: key}, err
}

// environmentKey takes the access key as AWS's own clients do, as far as that
// needs no network; file is where it is otherwise.
func environmentKey(file string) (sigv4.Credentials, error) {
	if id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"); id != "" && secret != "" {
		return sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: os.Getenv("AWS_SESSION_TOKEN")}, nil
	}
	if path := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); path != "" {
		profile := os.Getenv("AWS_PROFILE")
		if profile == "" {
			profile = "default"
		}
		return readKey(path, profile)
	}
	key, err := readKey(file, "default")
	if errors.Is(err, fs.ErrNotExist) {
		err = hinted{errors.New("no access key for the gateway at --admin"),
			"set AWS_SHARED_CREDENTIALS_FILE to a copy of its DIR/credentials, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}
	}
	return key, err
}

// readKey returns the access key of a profile in a shared-credentials file.
func readKey(path, profile string) (sigv4.Credentials, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		err = fmt.Errorf("credentials: %w", err)
		if errors.Is(err, fs.ErrPermission) {
			err = hinted{err, "ask as the user who runs the gateway, or name it by --admin with an access key in the environment"}
		}
		return sigv4.Credentials{}, err
	}
	keys, err := pki.ParseCredentials(text)
	if err != nil {
		return sigv4.Credentials{}, fmt.Errorf("credentials: %s: %w", path, err)
	}
	for _, k := range keys {
		if k.Profile == profile {
			return sigv4.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey}, nil
		}
	}
	return sigv4.Credentials{}, fmt.Errorf("credentials: %s: no profile %q", path, profile)
}

// refusedCall is an error that the gateway answered with.
type refusedCall struct {
	status        int
	code, message string
}

func (e *refusedCall) Error() string { return e.message + " (" + e.code + ")" }

// get asks an extension and decodes its answer into out.
func (g *running) get(ctx context.Context, path string, query url.Values, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second) // the gateway ends a call after 60 s
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.admin+path, nil)
	if err != nil {
		return err
	}
	r.URL.RawQuery = query.Encode()
	sigv4.Sign(r, nil, g.key, g.region, "apigateway", time.Now())
	// No proxy, and no redirect: what is signed is for this gateway.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		way := "start it, or name it with --data-dir or --admin"
		if path != gateway.AuditPath {
			way += "; --local judges by this process's own trust"
		}
		return hinted{fmt.Errorf("the gateway at %s does not answer: %w", g.admin, err), way}
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return fmt.Errorf("answer of the gateway at %s: %w", g.admin, err)
	}
	if resp.StatusCode != http.StatusOK {
		e := &refusedCall{status: resp.StatusCode, code: resp.Header.Get("X-Amzn-Errortype"), message: resp.Status}
		var said struct{ Message string }
		if json.Unmarshal(body, &said) == nil && said.Message != "" {
			e.message = said.Message
		}
		if e.code == "" {
			has := "a doctor"
			if path == gateway.AuditPath {
				has = "an auditor"
			}
			return fmt.Errorf("%s is no admin port of a gateway that has %s: %s", g.admin, has, resp.Status)
		}
		return e
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("answer of the gateway at %s: %w", g.admin, err)
	}
	return nil
}
