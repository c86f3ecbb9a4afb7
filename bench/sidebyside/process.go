//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cores is a list as taskset writes it; empty is all of the machine's.
type cores string

// command makes a command that runs on these cores.
func (c cores) command(name string, args ...string) *exec.Cmd {
	if c != "" {
		args = append([]string{"-c", string(c), name}, args...)
		name = "taskset"
	}
	cmd := exec.Command(name, args...)
	// A group of its own, so that workers die with their master; and death
	// with us, however we die.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// process is a child with all its descendants.
type process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the child has ended
}

// start runs cmd with its output in a file of dir.
func start(name, dir string, cmd *exec.Cmd) (*process, error) {
	out, err := os.Create(filepath.Join(dir, name+".out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = out
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its output tells why
		close(p.gone)
	}()
	return p, nil
}

// stop ends the child and its descendants: politely, then not.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) // it may have ended
	select {
	case <-p.gone:
	case <-time.After(3 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.gone
}

// ready waits until check passes, for at most 30 seconds.
func (p *process) ready(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.gone:
			return fmt.Errorf("%s ended while it started", p.name)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
}

// tick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every Linux.
const tick = 10 * time.Millisecond

// cpu adds up the tree's processor time. The kernel scales it to what the
// scheduler measured, so only the unit limits its precision.
func (p *process) cpu() (time.Duration, error) {
	var total time.Duration
	err := p.each(func(pid int, stat []string) error {
		user, err := strconv.ParseInt(stat[11], 10, 64)
		if err != nil {
			return err
		}
		system, err := strconv.ParseInt(stat[12], 10, 64)
		if err != nil {
			return err
		}
		total += time.Duration(user+system) * tick
		return nil
	})
	return total, err
}

// memory adds up the tree's resident pages, each divided by how many share it.
func (p *process) memory() (int64, error) {
	var total int64
	err := p.each(func(pid int, stat []string) error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				if err != nil {
					return err
				}
				total += kib << 10
				return nil
			}
		}
		return errors.New("no Pss in smaps_rollup")
	})
	return total, err
}

// each calls f for the child and each descendant with the fields of its
// /proc/PID/stat from the state on: man 5 proc counts them from 3.
func (p *process) each(f func(pid int, stat []string) error) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	stats, parent := map[int][]string{}, map[int]int{}
	for _, dir := range dirs {
		text, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if len(fields) < 13 {
			continue
		}
		stats[pid] = fields
		parent[pid], _ = strconv.Atoi(fields[1])
	}
	root := p.cmd.Process.Pid
	if stats[root] == nil {
		return fmt.Errorf("%s has ended", p.name)
	}
	for pid, stat := range stats {
		for up := pid; up > 1; up = parent[up] {
			if up != root {
				continue
			}
			if err := f(pid, stat); err != nil {
				return fmt.Errorf("%s, process %d: %w", p.name, pid, err)
			}
			break
		}
	}
	return nil
}

// role is a child that is this same program, talked to over pipes in lines of
// JSON. It ends when its input does, so it never outlives us.
type role struct {
	*process
	in   io.WriteCloser
	out  *bufio.Reader
	pipe *os.File // under out
}

// startRole runs this program as name on c and sends it first as a line.
func startRole(c cores, name, dir string, first any) (*role, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, err := startRoleWith(c.command(self, name), name, dir)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(r.in).Encode(first); err != nil {
		r.close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func startRoleWith(cmd *exec.Cmd, name, dir string) (*role, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Not StdoutPipe: Wait would close it under the reader.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	cmd.Stdout = write
	p, err := start(name, dir, cmd)
	if err != nil {
		read.Close()
		return nil, err
	}
	return &role{process: p, in: in, out: bufio.NewReader(read), pipe: read}, nil
}

// hear reads a line into v, for at most limit.
func (r *role) hear(ctx context.Context, limit time.Duration, v any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	heard := make(chan error, 1)
	go func() {
		line, err := r.out.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, v)
		}
		heard <- err
	}()
	var err error
	select {
	case err = <-heard:
	case <-ctx.Done():
		r.stop() // ends the read too
		<-heard
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}

// say sends an empty line.
func (r *role) say() error {
	_, err := io.WriteString(r.in, "\n")
	return err
}

// close ends the child.
func (r *role) close() {
	_ = r.in.Close() // it may have ended
	select {
	case <-r.gone:
	case <-time.After(2 * time.Second):
		r.stop()
	}
	_ = r.pipe.Close() // only read from
}

// guard kills the groups of children when this program ends, even by SIGKILL:
// a master that dies with us would leave its workers.
type guard struct{ *role }

func startGuard(dir string) (*guard, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := cores("").command(self, "guard")
	cmd.SysProcAttr.Pdeathsig = 0 // this one outlives us, by a moment
	r, err := startRoleWith(cmd, "guard", dir)
	if err != nil {
		return nil, err
	}
	return &guard{r}, nil
}

// watch tells the guard of a child.
func (g *guard) watch(p *process) error { return g.tell('+', p) }

// stop ends a child that is watched.
func (g *guard) stop(p *process) {
	p.stop()
	_ = g.tell('-', p) // a guard that has ended watches nobody
}

func (g *guard) tell(sign rune, p *process) error {
	if _, err := fmt.Fprintf(g.in, "%c%d\n", sign, p.cmd.Process.Pid); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// runGuard is the guard's process: it reads lines of a sign and a process
// group, keeps those with a plus until the same comes with a minus, and kills
// what it keeps when its input ends.
func runGuard(in io.Reader) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	groups := map[int]bool{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		group, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		if groups[max(group, -group)] = true; group < 0 {
			delete(groups, -group)
		}
	}
	for group := range groups {
		_ = syscall.Kill(-group, syscall.SIGKILL) // it may have ended
	}
	return lines.Err()
}
