package storetest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/pki"
)

// victimEnv makes the test binary the program that TestKillFirstRun kills.
const victimEnv = "SALLYPORT_STORETEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // see Kill
	if err := firstRun(os.Args[1], func(files ...string) error {
		sum, err := digest(os.Args[1], files)
		if err == nil {
			_, err = fmt.Println(sum, strings.Join(files, " "))
		}
		return err
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// firstRun makes, or opens, all that package pki keeps in a data directory.
// After each step it acknowledges the files that are to stay as they are.
func firstRun(dir string, ack func(files ...string) error) error {
	dir = filepath.Join(dir, "made", "data")
	if err := pki.MakeDir(dir); err != nil {
		return err
	}
	sealer, err := pki.OpenSealKey(filepath.Join(dir, "seal.key"))
	if err != nil {
		return err
	}
	if err := ack("seal.key"); err != nil {
		return err
	}
	if _, err := pki.EnsureCredentials(filepath.Join(dir, "credentials")); err != nil {
		return err
	}
	if err := ack("credentials"); err != nil {
		return err
	}
	ca, err := pki.OpenCA(dir, sealer)
	if err != nil {
		return err
	}
	if err := ack("ca.pem", "ca.key"); err != nil {
		return err
	}
	certs, err := ca.Endpoints([]string{"*.execute-api.us-east-1.localhost"})
	if err != nil || len(certs) != 2 {
		return fmt.Errorf("%d certificates, %w", len(certs), err)
	}
	return ack("endpoint-ecdsa.pem", "endpoint-rsa.pem")
}

func digest(dir string, files []string) (string, error) {
	h := sha256.New()
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(dir, "made", "data", name))
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// TestKillFirstRun kills the making of seal key, credentials, local CA and
// default certificates: the next start needs no repair, and what was
// acknowledged before is what it finds.
func TestKillFirstRun(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	Kill(t, Victim{
		Argv:  []string{exe, "{dir}"},
		Env:   []string{victimEnv + "=1", "GORACE=atexit_sleep_ms=0"},
		Trace: SyncedBeforeAck("/made/data"),
		Check: func(t *testing.T, run *Trial) {
			if err := firstRun(run.Dir, func(...string) error { return nil }); err != nil {
				t.Errorf("the next start: %v", err)
			}
			for _, line := range run.Acked {
				words := strings.Fields(line)
				if sum, err := digest(run.Dir, words[1:]); err != nil || sum != words[0] {
					t.Errorf("%s changed after they were acknowledged: %v", words[1:], err)
				}
			}
		},
		Points: 30,
	})
}
