//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// backendSpec is what the backend's process needs; its answer is backendInfo.
type backendSpec struct{ Certificate, Key []byte } // PEM

// backendInfo says where the backend listens.
type backendInfo struct{ Plain, TLS string }

// runBackend is the backend's process: the cheapest HTTP/1.1 server that can
// still tell a good request, so that it is never what limits a contender. It
// runs until its input ends.
func runBackend(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var spec backendSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	leaf, err := tls.X509KeyPair(spec.Certificate, spec.Key)
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer plain.Close()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer socket.Close()
	go acceptAll(plain)
	go acceptAll(tls.NewListener(socket, &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}))
	if err := json.NewEncoder(out).Encode(backendInfo{Plain: plain.Addr().String(), TLS: socket.Addr().String()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, lines)
	return err
}

func acceptAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed: the process ends
		}
		go func() {
			defer conn.Close()
			_ = serveBackend(conn) // the contender sees a closed connection and counts it
		}()
	}
}

// answers are the whole responses by path.
var answers = func() map[string][]byte {
	m := map[string][]byte{}
	for path, size := range bodies {
		m[path] = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s",
			size, bytes.Repeat([]byte("x"), size))
	}
	return m
}()

// serveBackend answers requests until the connection ends. What it does not
// expect ends the connection, which makes a failed request.
func serveBackend(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		method, rest, _ := strings.Cut(string(line), " ")
		path, _, _ := strings.Cut(rest, " ")
		length, inChunks := 0, false
		for {
			if line, err = readLine(r); err != nil {
				return err
			}
			if len(line) == 0 {
				break
			}
			name, value, _ := bytes.Cut(line, []byte(":"))
			switch {
			case bytes.EqualFold(name, contentLength):
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return err
				}
			case bytes.EqualFold(name, encoding):
				inChunks = true
			}
		}
		if inChunks {
			length, err = readChunks(r)
		} else {
			_, err = r.Discard(length)
		}
		if err != nil {
			return err
		}
		answer := answers[path]
		if answer == nil || length != requestBody(method) {
			return errors.New("not a request of the load generator")
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

// requestBody is the length of a request's body by method, -1 for one that no
// workload uses.
func requestBody(method string) int {
	switch method {
	case "GET":
		return 0
	case "POST":
		return postBody
	}
	return -1
}
