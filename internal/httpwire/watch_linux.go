package httpwire

import (
	"net"
	"os"
	"sync"
	"syscall"
)

// watcher learns from the kernel that clients hang up, without reading from
// their connections and without a goroutine for each: one epoll instance for
// the process, which Go's own poller wakes. A connection costs one system call.
type watcher struct {
	fd   int
	file *os.File

	mu   sync.Mutex
	last uint64
	gone map[uint64]func()
}

// clientWatcher is nil when the kernel gives none; then a client that is gone
// is noticed by the next read or write.
var clientWatcher = sync.OnceValue(func() *watcher {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	if syscall.SetNonblock(fd, true) != nil {
		syscall.Close(fd)
		return nil
	}
	w := &watcher{fd: fd, file: os.NewFile(uintptr(fd), "epoll"), gone: make(map[uint64]func())}
	go w.run()
	return w
})

// watch calls gone, at most once and from another goroutine, when the peer of
// c ends what it sends or the connection breaks. The watch ends with forget,
// which is to be called before c is closed.
func watch(c net.Conn, gone func()) (id uint64) {
	w := clientWatcher()
	conn, ok := c.(syscall.Conn)
	if w == nil || !ok {
		return 0
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	w.mu.Lock()
	w.last++
	id = w.last
	w.gone[id] = gone
	w.mu.Unlock()
	ok = false
	raw.Control(func(fd uintptr) {
		e := syscall.EpollEvent{Events: syscall.EPOLLRDHUP | epollOneShot, Fd: int32(uint32(id)), Pad: int32(id >> 32)}
		ok = syscall.EpollCtl(w.fd, syscall.EPOLL_CTL_ADD, int(fd), &e) == nil
	})
	if !ok {
		forget(id)
		return 0
	}
	return id
}

// epollOneShot is EPOLLONESHOT: the event comes once.
const epollOneShot = 1 << 30

// forget ends a watch. The kernel's side of it ends with the connection.
func forget(id uint64) {
	if id == 0 {
		return
	}
	w := clientWatcher()
	w.mu.Lock()
	delete(w.gone, id)
	w.mu.Unlock()
}

func (w *watcher) run() {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	var events [128]syscall.EpollEvent
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = syscall.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			id := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			w.mu.Lock()
			gone := w.gone[id]
			delete(w.gone, id)
			w.mu.Unlock()
			if gone != nil {
				gone()
			}
		}
	}
}

// waiting reports whether the peer of c has sent bytes that nobody has read.
func waiting(c net.Conn) bool {
	conn, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return n > 0
}
