package storetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Syscalls are those by which a program changes what is on the disk, and the
// writes by which it acknowledges that.
var Syscalls = []string{
	"pwrite64", "write", "writev", "fdatasync", "fsync", "ftruncate", "fallocate",
	"rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat",
}

// shortWalk is how many points are always all visited.
const shortWalk = 30

// runLimit bounds one run of a victim.
const runLimit = 2 * time.Minute

// Victim is a program that Kill runs again and again, killing it, or failing
// it, each time at another of its system calls.
type Victim struct {
	// Argv is the program and its arguments, Env what is added to the
	// environment. In both, "{dir}" stands for the run's own directory.
	Argv []string
	Env  []string

	// Prepare fills the fresh directory before the program starts. Optional.
	Prepare func(t *testing.T, dir string)

	// Drive talks to the running program, noting in v.Acked what it
	// acknowledged, and returns when the program has nothing more to do: by its
	// own end, because Drive ended it, or because it was killed, which shows as
	// a broken conversation and is no error. Nil reads lines from v.Stdout.
	Drive func(t *testing.T, v *Trial)

	// Check looks at what the run left in v.Dir, given v.Acked.
	Check func(t *testing.T, v *Trial)

	// Trace, if set, sees the calls of the complete run, one a line as strace
	// prints them with -y, in order: the place to prove that each
	// acknowledgement follows a sync, which no kill can show, for the kernel
	// outlives the program.
	Trace func(t *testing.T, calls []string)

	// Inject is what strace does at a point, in its own words. Empty means
	// "signal=SIGKILL"; "error=EIO" makes the call fail instead.
	Inject string
	// Calls are the system calls to walk. Empty means Syscalls.
	Calls []string
	// Points is how many points a full walk reaches at least.
	Points int
}

// Trial is one run of a Victim.
type Trial struct {
	// Point says where the program is killed, as "pwrite64/17": at the entry of
	// a thread's 17th call, which is then not made. Empty: the complete run.
	Point string
	Dir   string
	// Acked is what the program acknowledged, in order.
	Acked []string
	// Reached: the program got as far as Point. Known after Drive.
	Reached bool

	Stdout  io.Reader
	Process *os.Process // strace, and so the head of the program's process group
}

// Kill walks a victim, or makes its calls fail in turn if v.Inject says so. One complete run counts the calls of each of its
// threads; then the program is run once for each kind of call and each count
// and killed there with SIGKILL, by strace, and what it left is checked. With
// SALLYPORT_SOAK=1 every point is visited, otherwise every tenth.
//
// Strace counts calls by thread. Where a goroutine wanders between threads, a
// point is met at another moment than in the complete run, or not at all, and
// then it does not count as visited; a victim that locks its writing goroutine
// to one thread has all of them visited exactly.
// A walk of few points is always taken in full.
func Kill(t *testing.T, v Victim) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("SKIPPED, CRASH SAFETY NOT PROVEN: the program strace is missing; install Debian's package strace")
	}
	if v.Inject == "" {
		v.Inject = "signal=SIGKILL"
	}
	if len(v.Calls) == 0 {
		v.Calls = Syscalls
	}
	whole, calls := v.run(t, strace, "")
	if t.Failed() {
		t.FailNow()
	}
	if v.Trace != nil {
		v.Trace(t, calls)
	}
	v.Check(t, whole)
	points := pointsOf(calls, v.Calls)
	total, step := len(points), 10
	if total <= shortWalk || os.Getenv("SALLYPORT_SOAK") == "1" {
		step = 1
	}
	var reached, sampled atomic.Int64
	t.Run("points", func(t *testing.T) {
		for i := 0; i < total; i += step {
			sampled.Add(1)
			t.Run(points[i], func(t *testing.T) {
				t.Parallel()
				run, _ := v.run(t, strace, points[i])
				if run.Reached {
					reached.Add(1)
				}
				if !t.Failed() {
					v.Check(t, run)
				}
			})
		}
	})
	t.Logf("reached %d of %d points tried; a full walk has %d", reached.Load(), sampled.Load(), total)
	if want := int64(v.Points / step); reached.Load() < want {
		t.Errorf("reached %d points, want at least %d", reached.Load(), want)
	}
}

// run runs the victim once and returns the calls that it made.
func (v Victim) run(t *testing.T, strace, point string) (*Trial, []string) {
	t.Helper()
	run := &Trial{Point: point, Dir: t.TempDir()}
	if v.Prepare != nil {
		v.Prepare(t, run.Dir)
	}
	log := filepath.Join(t.TempDir(), "calls")
	set := strings.Join(Syscalls, ",")
	// "?": a call that this architecture lacks is no error.
	args := []string{"-f", "-q", "-y", "-s", "128", "-o", log, "-e", "trace=?" + strings.ReplaceAll(set, ",", ",?")}
	if name, n, ok := strings.Cut(point, "/"); ok {
		args = append(args, "-e", "inject="+name+":"+v.Inject+":when="+n)
	}
	args = append(args, "--")
	for _, arg := range v.Argv {
		args = append(args, strings.ReplaceAll(arg, "{dir}", run.Dir))
	}
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, strace, args...)
	cmd.Env = os.Environ()
	for _, env := range v.Env {
		cmd.Env = append(cmd.Env, strings.ReplaceAll(env, "{dir}", run.Dir))
	}
	// Its own group, so that one signal ends strace and the program together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	run.Stdout, run.Process = stdout, cmd.Process
	if v.Drive != nil {
		v.Drive(t, run)
	} else {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			run.Acked = append(run.Acked, lines.Text())
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // the program may have more to say than Drive wanted to hear
	err = cmd.Wait()
	calls, logErr := os.ReadFile(log)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("the program still ran after %v\n%s", runLimit, stderr.Bytes())
	case logErr != nil:
		t.Fatalf("strace: %v, %v\n%s", err, logErr, stderr.Bytes())
	case err == nil:
	case point != "" && errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		run.Reached = true // strace ends as the program did
	default:
		t.Fatalf("the program failed: %v\n%s", err, stderr.Bytes())
	}
	run.Reached = run.Reached || bytes.Contains(calls, []byte("(INJECTED)"))
	return run, strings.Split(strings.TrimSpace(string(calls)), "\n")
}

// call is a line of strace -f: thread, then the call's name. Lines that resume
// an interrupted call do not count twice.
var call = regexp.MustCompile(`^(\d+) +([a-z0-9_]+)\(`)

// pointsOf returns every "name/count" that a thread of the run reached.
func pointsOf(calls, names []string) []string {
	type key struct{ thread, name string }
	counts, most := make(map[key]int), make(map[string]int)
	for _, line := range calls {
		if m := call.FindStringSubmatch(line); m != nil {
			k := key{m[1], m[2]}
			counts[k]++
			most[k.name] = max(most[k.name], counts[k])
		}
	}
	var points []string
	for _, name := range names {
		for n := 1; n <= most[name]; n++ {
			points = append(points, name+"/"+strconv.Itoa(n))
		}
	}
	return slices.Clip(points)
}

// SyncedBeforeAck is a Trace for programs that acknowledge on standard output
// what they keep in files whose path contains file: it fails unless, at each
// acknowledgement, every write to such a file has been followed by its sync.
func SyncedBeforeAck(file string) func(t *testing.T, calls []string) {
	return func(t *testing.T, calls []string) {
		dirty, acks := "", 0
		for _, line := range calls {
			m := call.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			ours := strings.Contains(line, file)
			switch name := m[2]; {
			case name == "write" && strings.Contains(line, " write(1<"):
				if acks++; dirty != "" {
					t.Errorf("acknowledged by %s\nbefore a sync of %s", line, dirty)
				}
			case ours && (name == "fdatasync" || name == "fsync"):
				dirty = ""
			case ours && (strings.HasPrefix(name, "pwrite") || name == "write" || name == "ftruncate"):
				dirty = line
			}
		}
		if acks == 0 {
			t.Errorf("no acknowledgement among %d calls", len(calls))
		}
	}
}
