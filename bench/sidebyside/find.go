//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// buildTime bounds the building of a peer on a slow machine.
const buildTime = 30 * time.Minute

// debian finds a program that the distribution packages.
func debian(program, flag, version string) func(context.Context, *house) (string, string, error) {
	return func(ctx context.Context, _ *house) (string, string, error) {
		path, err := exec.LookPath(program)
		if err != nil {
			path = filepath.Join("/usr/sbin", program) // not on everybody's PATH
			if _, err := os.Stat(path); err != nil {
				return "", "", fmt.Errorf("%w: install it with `apt-get install %s`", errMissing, program)
			}
		}
		text, err := versionText(ctx, path, flag)
		if err != nil {
			return "", "", err
		}
		found := regexp.MustCompile(version).FindStringSubmatch(text)
		if found == nil {
			return "", "", fmt.Errorf("%s %s does not tell its version: %s", path, flag, text)
		}
		number := strings.Split(found[1], "-")[0]
		full, err := versionText(ctx, path, cmp.Or(map[string]string{"nginx": "-V", "haproxy": "-vv"}[program], flag))
		if err != nil {
			return "", "", err
		}
		if ssl := regexp.MustCompile(`(?i)running (?:with|on)[^\n]*?(OpenSSL \d\S*)`).FindStringSubmatch(full); ssl != nil {
			number += ", " + ssl[1]
		} else if ssl := regexp.MustCompile(`(?i)built with[^\n]*?(OpenSSL \d\S*)`).FindStringSubmatch(full); ssl != nil {
			number += ", " + ssl[1]
		}
		return path, number, nil
	}
}

func versionText(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return string(out), nil
}

// module builds a program from the Go module proxy, once per version, into the
// cache. It is built inside a module of its own: `go install` refuses modules
// that replace some of theirs, so those replacements are repeated there.
func module(path, version, main string) func(context.Context, *house) (string, string, error) {
	return func(ctx context.Context, h *house) (string, string, error) {
		name := filepath.Base(main)
		program := filepath.Join(h.cache, name+"-"+version)
		told := strings.TrimPrefix(version, "v")
		if _, err := os.Stat(program); err == nil {
			return program, told, nil
		}
		fmt.Fprintf(os.Stderr, "building %s %s; it is kept in %s\n", name, version, h.cache)
		ctx, cancel := context.WithTimeout(ctx, buildTime)
		defer cancel()
		if err := buildModule(ctx, path, version, main, program); err != nil {
			return "", "", fmt.Errorf("%w: %s %s could not be built: %v", errMissing, path, version, err)
		}
		return program, told, nil
	}
}

func buildModule(ctx context.Context, path, version, main, program string) error {
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sidebyside-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	run := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("go %s: %w: %s", args[0], err, tail([]byte(errs.String()), 400))
		}
		return out, err
	}
	if _, err := run("mod", "init", "sidebyside.example/peer"); err != nil {
		return err
	}
	text, err := run("mod", "download", "-json", path+"@"+version)
	if err != nil {
		return err
	}
	var downloaded struct{ GoMod string }
	if err := json.Unmarshal(text, &downloaded); err != nil {
		return err
	}
	if text, err = run("mod", "edit", "-json", downloaded.GoMod); err != nil {
		return err
	}
	type pair struct{ Path, Version string }
	var theirs struct{ Replace []struct{ Old, New pair } }
	if err := json.Unmarshal(text, &theirs); err != nil {
		return err
	}
	edit := []string{"mod", "edit", "-require=" + path + "@" + version}
	for _, r := range theirs.Replace {
		if r.New.Version == "" {
			return fmt.Errorf("%s is replaced by the folder %s, which the module does not hold", r.Old.Path, r.New.Path)
		}
		edit = append(edit, "-replace="+r.Old.Path+"="+r.New.Path+"@"+r.New.Version)
	}
	if _, err := run(edit...); err != nil {
		return err
	}
	if _, err := run("build", "-trimpath", "-o", "peer", path+"/"+main); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "peer"), program)
}
