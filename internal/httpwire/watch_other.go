//go:build !linux

package httpwire

import "net"

// watch does nothing here: a client that is gone is noticed by the next read
// or write.
func watch(net.Conn, func()) (id uint64) { return 0 }

func forget(uint64) {}

// waiting cannot tell here.
func waiting(net.Conn) bool { return false }
