package httpwire

import (
	"sync/atomic"
	"time"
)

// dateLine is a Date header line, made once a second.
type dateLine struct {
	second int64
	line   []byte
}

var lastDate atomic.Pointer[dateLine]

// appendDate appends the Date line of now.
func appendDate(b []byte, now time.Time) []byte {
	d := lastDate.Load()
	if second := now.Unix(); d == nil || d.second != second {
		d = &dateLine{second, now.UTC().AppendFormat(nil, "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n")}
		lastDate.Store(d)
	}
	return append(b, d.line...)
}
