package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWriteFileAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runtime.json")
	for _, data := range []string{"first", "", "second"} {
		must(t, WriteFileAtomic(path, []byte(data), 0o640))
		if got, err := os.ReadFile(path); err != nil || string(got) != data {
			t.Errorf("holds %q, %v; want %q", got, err, data)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	alone(t, path)
	if err := WriteFileAtomic(filepath.Join(t.TempDir(), "no", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing directory: %v", err)
	}
}

// TestCreateFileAtomic: of many that create one file, one wins and the file is its own.
func TestCreateFileAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	won := make(chan string, 8)
	var all sync.WaitGroup
	for i := range cap(won) {
		all.Go(func() {
			data := strings.Repeat(string(rune('a'+i)), 1000)
			switch err := CreateFileAtomic(path, []byte(data), 0o600); {
			case err == nil:
				won <- data
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d created it", len(won))
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != <-won {
		t.Errorf("the file is not the winner's: %v", err)
	}
	alone(t, path)
}

func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	long := time.Now().Add(-2 * leftoverAge)
	for name, gone := range map[string]bool{
		".key.tmp-1":       true,
		".key.tmp-2-young": false, // its writer may be at work
		".other.tmp-1":     false,
		"key":              false,
	} {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, nil, 0o600))
		if !strings.HasSuffix(name, "young") {
			must(t, os.Chtimes(file, long, long))
		}
		RemoveLeftovers(path)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) != gone {
			t.Errorf("%s: %v, want gone %v", name, err, gone)
		}
	}
}

func TestMakeDir(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b")
	for range 2 {
		must(t, MakeDir(dir))
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	must(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	for _, dir := range []string{"file", "file/b"} {
		if err := MakeDir(filepath.Join(root, dir)); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("MakeDir(%s): %v", dir, err)
		}
	}
}

// secrets are the files that hold secrets, with what opens them.
var secrets = []struct {
	name string
	open func(path string) error
}{
	{"seal.key", func(path string) error { _, err := OpenSealKey(path); return err }},
	{"credentials", func(path string) error { _, err := EnsureCredentials(path); return err }},
	{"ca.key", func(path string) error {
		_, err := OpenCA(filepath.Dir(path), testSealer(1))
		return err
	}},
	{"endpoint-rsa.pem", func(path string) error {
		ca, err := OpenCA(filepath.Dir(path), testSealer(1))
		if err == nil {
			_, err = ca.Endpoints([]string{"a.example"})
		}
		return err
	}},
}

// TestSecretFiles: each file of secrets is made 0600, and refused by name once
// it is looser, larger than it can be, or something else than a file.
func TestSecretFiles(t *testing.T) {
	for _, secret := range secrets {
		t.Run(secret.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), secret.name)
			must(t, secret.open(path))
			info, err := os.Stat(path)
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("made with mode %v", info.Mode())
			}
			must(t, secret.open(path))
			for _, mode := range []fs.FileMode{0o604, 0o640, 0o602, 0o644, 0o777} {
				must(t, os.Chmod(path, mode))
				refused(t, secret.open(path), path, "hint: chmod 600")
			}
			must(t, os.Chmod(path, 0o400)) // tighter is fine
			must(t, secret.open(path))

			must(t, os.WriteFile(path+".large", make([]byte, 1<<20), 0o600))
			must(t, os.Rename(path+".large", path))
			refused(t, secret.open(path), path, "more than")
			for _, junk := range []string{"", "junk\n", "-----BEGIN CERTIFICATE-----\n"} {
				must(t, os.WriteFile(path, []byte(junk), 0o600))
				refused(t, secret.open(path), path, "")
				if got, err := os.ReadFile(path); err != nil || string(got) != junk {
					t.Errorf("a damaged file was replaced: %q, %v", got, err)
				}
			}
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
			refused(t, secret.open(path), path, "not a regular file")
		})
	}
}

func refused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("accepted, want an error with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want it to say %q", err, part)
		}
	}
}

// alone fails if anything lies beside path.
func alone(t *testing.T, path string) {
	t.Helper()
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside %s: %v, %v", path, entries, err)
	}
}

func testSealer(seed byte) *Sealer {
	key := make([]byte, sealKeySize)
	key[0] = seed
	s, err := newSealer(key)
	if err != nil {
		panic(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
