package httpwire

import (
	"encoding/binary"
	"strconv"
)

// Frame types. Source: RFC 9113 6.
const (
	h2Data = iota
	h2Headers
	h2Priority
	h2RSTStream
	h2Settings
	h2PushPromise
	h2Ping
	h2GoAway
	h2WindowUpdate
	h2Continuation
)

// Frame flags. Source: RFC 9113 6.
const (
	h2EndStream  = 0x1
	h2Ack        = 0x1
	h2EndHeaders = 0x4
	h2Padded     = 0x8
	h2HasPrio    = 0x20
)

// Settings. Source: RFC 9113 6.5.2, RFC 9218 2.1.
const (
	h2HeaderTableSize      = 0x1
	h2EnablePush           = 0x2
	h2MaxConcurrentStreams = 0x3
	h2InitialWindowSize    = 0x4
	h2MaxFrameSize         = 0x5
	h2MaxHeaderListSize    = 0x6
	h2NoPriorities         = 0x9
)

// h2Code says why a stream or a connection ends. Source: RFC 9113 7.
type h2Code uint32

const (
	h2NoError h2Code = iota
	h2ProtocolError
	h2InternalError
	h2FlowControlError
	h2SettingsTimeout
	h2StreamClosed
	h2FrameSizeError
	h2RefusedStream
	h2Cancel
	h2CompressionError
	h2ConnectError
	h2EnhanceYourCalm
)

const (
	h2Preface     = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	h2FrameHeader = 9
	// h2FrameSize is the longest payload taken, and the longest one sent,
	// whatever the peer allows: other streams must get their turn.
	h2FrameSize     = 16 << 10
	h2DefaultWindow = 1<<16 - 1
	h2MaxWindow     = 1<<31 - 1
	h2MaxStreamID   = 1<<31 - 1
)

// h2Error ends a connection with GOAWAY.
type h2Error struct {
	code   h2Code
	reason string // for the process log
}

func (e *h2Error) Error() string {
	return e.reason + " (HTTP/2 error " + strconv.Itoa(int(e.code)) + ")"
}

// appendFrame appends a frame's header.
func appendFrame(b []byte, length int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

func appendSetting(b []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), value)
}

func appendReset(b []byte, stream uint32, code h2Code) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(b, 4, h2RSTStream, 0, stream), uint32(code))
}

func appendWindowUpdate(b []byte, stream uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(b, 4, h2WindowUpdate, 0, stream), uint32(n))
}

func appendGoAway(b []byte, last uint32, code h2Code) []byte {
	b = binary.BigEndian.AppendUint32(appendFrame(b, 8, h2GoAway, 0, 0), last)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendPing(b []byte, flags byte, data uint64) []byte {
	return binary.BigEndian.AppendUint64(appendFrame(b, 8, h2Ping, flags, 0), data)
}
