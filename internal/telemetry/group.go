package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// eventsFile is the file in a group's folder that is being written;
	// events.log.1 is the one before it, and so on.
	eventsFile = "events.log"
	// connectionsGroup holds the connection log. A log group of that name is
	// kept elsewhere (see folder).
	connectionsGroup = "connections"

	// maxEvent is the longest event in bytes; longer ones are dropped.
	maxEvent = 1 << 20
	// maxPending bounds what waits for the disk in one group, maxPendingAll in
	// all of them, in bytes; maxGroups bounds the groups.
	maxPending    = 4 << 20
	maxPendingAll = 64 << 20
	maxGroups     = 100_000

	// flushEvery is how long an event may wait for company before it is
	// written: well under the second after which it must be visible.
	flushEvery = 100 * time.Millisecond
	// sayEvery is how often drops are said in the process log.
	sayEvery = time.Minute
)

// GroupOptions configure OpenGroups.
type GroupOptions struct {
	Log     *slog.Logger // for drops; nil: silent
	Metrics *Metrics     // counts drops; may be nil
	// MaxSize is the size in bytes at which a file is rotated, 0 means 64 MiB;
	// Keep is how many rotated files stay, 0 means 4. A group so holds at most
	// MaxSize times Keep+1 bytes, plus one flush.
	MaxSize int64
	Keep    int
}

// Groups are the log groups kept as files under one folder. Every group has a
// folder of its own with the file events.log: one event a line, exactly as
// rendered. Writers never wait for the disk: events wait in bounded buffers and
// are written within a tenth of a second by one goroutine. What does not fit or
// fails to be written is dropped, counted and said.
//
// A name maps to a folder segment by segment at "/": bytes other than ASCII
// letters, digits, ".", "-", "_" and "#" become %XX, as does the first byte of a
// segment that is "." or ".." or begins like our files (events.log), and of the
// group "connections"; empty segments vanish. "/aws/apigateway/x" is kept in
// aws/apigateway/x, and names that differ only in empty segments share a folder.
//
// Files are opened anew for every flush, so they may be moved away at any time.
type Groups struct {
	dir     string
	options GroupOptions
	wake    chan struct{}
	stop    chan struct{}
	done    chan struct{}

	flushing sync.Mutex // taken before mu

	mu      sync.Mutex
	logs    map[string]*Log // by folder
	names   map[string]*Log // by name as asked for, to find them fast
	dirty   []*Log
	pending int // bytes in all buffers
	closed  bool
	dropped int // since last said
	err     error
	said    time.Time

	connections *Log
	full        *Log // what stands for groups beyond maxGroups
}

// OpenGroups makes dir if needed. Close flushes and stops.
func OpenGroups(dir string, o GroupOptions) (*Groups, error) {
	if o.MaxSize == 0 {
		o.MaxSize = 64 << 20
	}
	if o.Keep == 0 {
		o.Keep = 4
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	g := &Groups{dir: dir, options: o, logs: map[string]*Log{}, names: map[string]*Log{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	g.full = &Log{groups: g, name: "(too many groups)", refuse: true}
	g.connections = g.open(connectionsGroup, connectionsGroup)
	go g.run()
	return g, nil
}

// Group returns the log of a group; the folder is made with the first event.
// The answer is never nil and may be kept.
func (g *Groups) Group(name string) *Log {
	g.mu.Lock()
	l := g.names[name]
	g.mu.Unlock()
	if l == nil {
		l = g.open(name, folder(name))
		g.mu.Lock()
		if len(g.names) < maxGroups {
			g.names[name] = l
		}
		g.mu.Unlock()
	}
	return l
}

func (g *Groups) open(name, folder string) *Log {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.logs[folder]; l != nil {
		return l
	}
	if len(g.logs) >= maxGroups {
		return g.full
	}
	l := &Log{groups: g, name: name, folder: filepath.Join(g.dir, filepath.FromSlash(folder))}
	g.logs[folder] = l
	return l
}

// Connections writes a record of the connection log, a JSON line.
func (g *Groups) Connections(c Connection) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c); err != nil {
		g.drop(g.connections.name, 1, err)
		return
	}
	g.connections.Write(bytes.TrimSuffix(line.Bytes(), []byte("\n")))
}

// Flush writes what waits and returns when it is in the files or dropped.
func (g *Groups) Flush() { g.flush() }

// Close writes what waits and stops; later events are dropped.
func (g *Groups) Close() error {
	g.mu.Lock()
	closed := g.closed
	g.closed = true
	g.mu.Unlock()
	if closed {
		return nil
	}
	close(g.stop)
	<-g.done
	return nil
}

// folder maps a group's name to its path under the log folder.
func folder(name string) string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		if part == "" {
			continue
		}
		var b strings.Builder
		special := part == "." || part == ".." || strings.HasPrefix(strings.ToLower(part), eventsFile)
		for i := range len(part) {
			c := part[i]
			if i == 0 && special || !(isNameByte(c) || c == '.' || c == '-' || c == '#') {
				fmt.Fprintf(&b, "%%%02X", c)
				continue
			}
			b.WriteByte(c)
		}
		parts = append(parts, b.String())
	}
	if len(parts) == 0 {
		return "%"
	}
	if strings.EqualFold(parts[0], connectionsGroup) {
		parts[0] = fmt.Sprintf("%%%02X", parts[0][0]) + parts[0][1:]
	}
	return strings.Join(parts, "/")
}

// Log is one group.
type Log struct {
	groups *Groups
	name   string
	folder string
	refuse bool

	// Guarded by groups.mu.
	pending []byte
	dirty   bool

	// Used by flush only.
	writing []byte
	opened  bool
}

// Write hands over one event without its line break. It never blocks on the
// disk and keeps no reference to line.
func (l *Log) Write(line []byte) {
	g := l.groups
	n := len(line) + 1
	g.mu.Lock()
	if l.refuse || g.closed || n > maxEvent || len(l.pending)+n > maxPending || g.pending+n > maxPendingAll {
		g.mu.Unlock()
		g.drop(l.name, 1, errDropped)
		return
	}
	l.pending = append(append(l.pending, line...), '\n')
	g.pending += n
	if !l.dirty {
		l.dirty = true
		g.dirty = append(g.dirty, l)
	}
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

var errDropped = errors.New("the disk does not keep up, or an event is too long")

// drop counts lost events and says so now and then.
func (g *Groups) drop(group string, n int, err error) {
	g.options.Metrics.LogDropped(n)
	g.mu.Lock()
	g.dropped += n
	g.err = err
	say := time.Since(g.said) >= sayEvery
	if say {
		n, g.dropped, g.said = g.dropped, 0, time.Now()
	}
	g.mu.Unlock()
	if say {
		g.options.Log.Error("log events dropped", "group", group, "events", n, "err", err)
	}
}

// run flushes a little after each first event.
func (g *Groups) run() {
	defer close(g.done)
	timer := time.NewTimer(0)
	<-timer.C
	for {
		select {
		case <-g.stop:
			g.flush()
			return
		case <-g.wake:
		}
		timer.Reset(flushEvery)
		select {
		case <-g.stop:
		case <-timer.C:
		}
		g.flush()
	}
}

// flush writes every buffer to its file. One flush runs at a time, so that the
// events of a group stay in order.
func (g *Groups) flush() {
	g.flushing.Lock()
	defer g.flushing.Unlock()
	g.mu.Lock()
	dirty := g.dirty
	g.dirty = nil
	for _, l := range dirty {
		l.writing, l.pending, l.dirty = l.pending, l.writing[:0], false
		g.pending -= len(l.writing)
	}
	g.mu.Unlock()
	for _, l := range dirty {
		if err := l.append(l.writing); err != nil {
			g.drop(l.name, bytes.Count(l.writing, []byte("\n")), err)
		}
		if cap(l.writing) > 64<<10 { // keep no burst's memory
			l.writing = nil
		}
	}
}

// append writes whole lines to the end of the group's file, all or none.
func (l *Log) append(lines []byte) error {
	path := filepath.Join(l.folder, eventsFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(l.folder, 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	}
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size > 0 && size+int64(len(lines)) > l.groups.options.MaxSize {
		if err := l.rotate(path); err != nil {
			return err
		}
		f.Close()
		if f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
			return err
		}
		size = 0
	}
	if !l.opened && size > 0 {
		// A crash may have left half a line behind; it must not swallow the next.
		var last [1]byte
		if _, err := f.ReadAt(last[:], size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			if _, err := f.Write([]byte("\n")); err != nil {
				return err
			}
			size++
		}
	}
	l.opened = true
	if _, err := f.Write(lines); err != nil {
		// A full disk takes a part. Should the cut fail too, the next flush
		// looks at the last byte again.
		l.opened = f.Truncate(size) == nil
		return err
	}
	return nil
}

// rotate shifts events.log to events.log.1 and so on; the oldest goes.
func (l *Log) rotate(path string) error {
	for i := l.groups.options.Keep; i > 1; i-- {
		older, old := path+"."+strconv.Itoa(i), path+"."+strconv.Itoa(i-1)
		if err := os.Rename(old, older); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(path, path+".1")
}
