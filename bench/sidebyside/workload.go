//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// Names under which every contender serves the same two leaves.
const (
	ecdsaName = "ecdsa.bench.example"
	rsaName   = "rsa.bench.example"
)

// Paths of the backend; every contender hands them on as they are. tlsPath is
// the one that a contender fetches over TLS.
const (
	path1K  = "/1k"
	path64K = "/64k"
	tlsPath = "/tls"
)

// bodies lists what the backend answers.
var bodies = map[string]int{path1K: 1 << 10, path64K: 64 << 10, tlsPath: 1 << 10}

// postBody is the length of a POST's body.
const postBody = 8 << 10

// protocol is how a workload talks.
type protocol string

const (
	http1 protocol = "HTTP/1.1"
	http2 protocol = "HTTP/2"
	// connection makes a new connection for each HTTP/1.1 request, so what is
	// counted is a handshake with one small request.
	connection protocol = "connection"
)

// workload is what one measurement asks of a contender.
type workload struct {
	Name     string // as the -workloads flag has it
	Title    string // as the table has it
	Protocol protocol
	Path     string
	Body     int // bytes of a POST body; 0 is a GET
	Conns    int // connections, or workers that make one connection after the other
	Streams  int // requests at once on one HTTP/2 connection
	Rate     int // requests a second where latency is measured; 0 leaves latency out
	Server   string
	Group    tls.CurveID // the only key-exchange group that the client offers
	Resume   bool
	Optional bool // a peer may not know the group
}

// workloads are the columns of the table. Rates are moderate: the slowest
// contender is busy for less than half of the time on one slow core.
var workloads = complete([]workload{
	{Name: "h1-1k", Title: "HTTP/1.1 1 KiB", Protocol: http1, Path: path1K, Conns: 64, Rate: 2000},
	{Name: "h1-64k", Title: "HTTP/1.1 64 KiB", Protocol: http1, Path: path64K, Conns: 64, Rate: 1000},
	{Name: "post-8k", Title: "POST 8 KiB", Protocol: http1, Path: path1K, Body: postBody, Conns: 64, Rate: 1500},
	{Name: "h2-1k", Title: "HTTP/2 1 KiB", Protocol: http2, Path: path1K, Conns: 8, Streams: 8, Rate: 2000},
	{Name: "h2-64k", Title: "HTTP/2 64 KiB", Protocol: http2, Path: path64K, Conns: 8, Streams: 8, Rate: 1000},
	{Name: "tls-backend", Title: "TLS to backend 1 KiB", Protocol: http1, Path: tlsPath, Conns: 64, Rate: 2000},
	{Name: "conns-1000", Title: "1,000 connections 1 KiB", Protocol: http1, Path: path1K, Conns: 1000, Rate: 2000},
	{Name: "new-ecdsa", Title: "new handshake ECDSA", Protocol: connection, Path: path1K, Conns: 16, Rate: 200},
	{Name: "new-rsa", Title: "new handshake RSA", Protocol: connection, Path: path1K, Conns: 16, Rate: 200, Server: rsaName},
	{Name: "new-mlkem", Title: "new handshake X25519MLKEM768", Protocol: connection, Path: path1K, Conns: 16, Rate: 200, Group: tls.X25519MLKEM768, Optional: true},
	{Name: "resumed", Title: "resumed handshake", Protocol: connection, Path: path1K, Conns: 16, Rate: 200, Resume: true},
})

// complete fills what most rows leave out.
func complete(rows []workload) []workload {
	for i := range rows {
		w := &rows[i]
		if w.Server == "" {
			w.Server = ecdsaName
		}
		if w.Group == 0 {
			w.Group = tls.X25519
		}
		w.Streams = max(w.Streams, 1)
	}
	return rows
}

// choose returns the rows of all that names lists by key, in the order of all;
// an empty list is all of them.
func choose[T any](what string, all []T, key func(T) string, names string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	var chosen []T
	wanted := strings.Split(names, ",")
	for _, row := range all {
		if i := slices.Index(wanted, key(row)); i >= 0 {
			chosen = append(chosen, row)
			wanted = slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		var known []string
		for _, row := range all {
			known = append(known, key(row))
		}
		return nil, fmt.Errorf("no %s %q; there are %s", what, wanted[0], strings.Join(known, ", "))
	}
	return chosen, nil
}
