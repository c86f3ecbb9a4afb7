package gatewaytest

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"golang.org/x/net/websocket"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// startProxy runs a gateway in front of a TLS backend and returns the URL of
// its stage; what follows it reaches the backend.
func startProxy(t *testing.T, h http.Handler) (*World, string) {
	t.Helper()
	authority, err := pki.NewAuthority("backend")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf(pki.LeafOptions{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(bundle, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewUnstartedServer(h)
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}
	backend.StartTLS()
	t.Cleanup(backend.Close)

	w := Start(t, func(c *config.Config) { c.TrustBundles = []string{bundle} })
	ctx, anyMethod := t.Context(), aws.String("ANY")
	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("proxy"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String("{proxy+}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: anyMethod, AuthorizationType: aws.String("NONE"),
		RequestParameters: map[string]bool{"method.request.path.proxy": true}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: anyMethod,
		IntegrationHttpMethod: anyMethod, Type: types.IntegrationTypeHttpProxy, Uri: aws.String(backend.URL + "/{proxy}"),
		RequestParameters: map[string]string{"integration.request.path.proxy": "method.request.path.proxy"}}); err != nil {
		t.Fatal(err)
	}
	w.Deploy(t, *api.Id)
	return w, "https://" + w.Host(*api.Id) + "/prod"
}

// overBoth runs f with a client of each version of HTTP.
func (w *World) overBoth(t *testing.T, f func(t *testing.T, c *http.Client)) {
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[h2], func(t *testing.T) {
			c := w.HTTP("REGIONAL", nil, h2)
			defer c.CloseIdleConnections()
			f(t, c)
		})
	}
}

// Somebody else's WebSocket client and server talk through the gateway.
func TestWebSocket(t *testing.T) {
	ended := make(chan error, 10)
	mux := http.NewServeMux()
	mux.Handle("/echo", websocket.Handler(func(c *websocket.Conn) {
		io.WriteString(c, "hello") // right behind the 101
		_, err := io.Copy(c, c)
		ended <- err
	}))
	mux.Handle("/bye", websocket.Handler(func(c *websocket.Conn) { io.WriteString(c, "bye") }))
	w, stage := startProxy(t, mux)
	stage = strings.Replace(stage, "https:", "wss:", 1)
	dial := func(path string) (*websocket.Conn, error) {
		u, err := url.Parse(stage + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := w.Dial("REGIONAL", &tls.Config{ServerName: u.Host, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		raw.SetDeadline(time.Now().Add(20 * time.Second))
		c, err := websocket.NewClient(&websocket.Config{Location: u, Origin: u, Version: websocket.ProtocolVersionHybi13}, raw)
		if err != nil {
			raw.Close()
		}
		return c, err
	}
	c, err := dial("/echo")
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := websocket.Message.Receive(c, &got); err != nil || got != "hello" {
		t.Fatalf("%q %v", got, err)
	}
	for _, n := range []int{1, 125, 126, 70_000, 1 << 20} {
		sent := strings.Repeat("x", n)
		go websocket.Message.Send(c, sent)
		var b strings.Builder
		for b.Len() < n { // echoed in pieces
			if err := websocket.Message.Receive(c, &got); err != nil {
				t.Fatal(err)
			}
			b.WriteString(got)
		}
		if b.String() != sent {
			t.Errorf("%d bytes came back changed", n)
		}
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the backend did not learn that the client closed")
	}

	if c, err = dial("/bye"); err != nil {
		t.Fatal(err)
	}
	if err := websocket.Message.Receive(c, &got); err != nil || got != "bye" {
		t.Errorf("%q %v", got, err)
	}
	if err := websocket.Message.Receive(c, &got); err != io.EOF {
		t.Errorf("after the backend closed: %v", err)
	}
	c.Close()
	if _, err = dial("/nothing"); err == nil {
		t.Error("upgraded by a backend that refused to")
	}
	// An ordinary request to the same backend still works.
	client := w.HTTP("REGIONAL", nil, false)
	defer client.CloseIdleConnections()
	resp, err := client.Get(strings.Replace(stage, "wss:", "https:", 1) + "/nothing")
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 404 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// Each event reaches the client before the backend says the next one.
func TestServerSentEvents(t *testing.T) {
	heard := make(chan struct{})
	w, stage := startProxy(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(rw, "data: %d\n\n", i)
			rw.(http.Flusher).Flush()
			select {
			case <-heard:
			case <-time.After(10 * time.Second):
				t.Errorf("event %d did not arrive", i)
				return
			}
		}
	}))
	w.overBoth(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Get(stage + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		event := make([]byte, len("data: 0\n\n"))
		for i := range 5 {
			if _, err := io.ReadFull(resp.Body, event); err != nil || string(event) != fmt.Sprintf("data: %d\n\n", i) {
				t.Fatalf("%q %v", event, err)
			}
			heard <- struct{}{}
		}
		if n, err := resp.Body.Read(event); n != 0 || err != io.EOF {
			t.Errorf("%d %v", n, err)
		}
	})
}

// A request's body reaches the backend while it is being sent, and arrives
// whole, whether its length is known or not.
func TestLargeRequest(t *testing.T) {
	const size = 9 << 20
	began := make(chan struct{}, 1)
	w, stage := startProxy(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		hash, first := sha256.New(), make([]byte, 1<<10)
		if _, err := io.ReadFull(r.Body, first); err != nil {
			t.Error(err)
		}
		began <- struct{}{}
		hash.Write(first)
		n, err := io.Copy(hash, r.Body)
		fmt.Fprintf(rw, "%d %x %v", n+int64(len(first)), hash.Sum(nil), err)
	}))
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	want := fmt.Sprintf("%d %x <nil>", size, sha256.Sum256(content))
	w.overBoth(t, func(t *testing.T, c *http.Client) {
		for _, length := range []int64{size, -1} {
			body, in := io.Pipe()
			go func() {
				in.Write(content[:64<<10])
				<-began // no more before the backend has the first part
				in.Write(content[64<<10:])
				in.Close()
			}()
			req, err := http.NewRequest("POST", stage+"/up", body)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != want {
				t.Errorf("length %d: %s %v", length, got, err)
			}
		}
	})
}

// A response passes through at the pace of the client: the gateway does not
// hold it.
func TestLargeResponse(t *testing.T) {
	const size = 96 << 20
	piece := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	w, stage := startProxy(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			rw.Header().Set("Content-Length", fmt.Sprint(size))
		}
		for range size / len(piece) {
			if _, err := rw.Write(piece); err != nil {
				return
			}
		}
	}))
	w.overBoth(t, func(t *testing.T, c *http.Client) {
		for _, path := range []string{"/known", "/unknown"} {
			resp, err := c.Get(stage + path)
			if err != nil {
				t.Fatal(err)
			}
			hash, most := sha256.New(), uint64(0)
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i, buf := 0, make([]byte, 256<<10); ; i++ {
				n, err := resp.Body.Read(buf)
				hash.Write(buf[:n])
				if i%500 == 0 {
					runtime.ReadMemStats(&now)
					most = max(most, now.HeapAlloc)
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			resp.Body.Close()
			sum := sha256.New()
			for range size / len(piece) {
				sum.Write(piece)
			}
			if !bytes.Equal(hash.Sum(nil), sum.Sum(nil)) {
				t.Errorf("%s: content differs", path)
			}
			if most > before.HeapAlloc+32<<20 {
				t.Errorf("%s: the heap grew from %d to %d MiB", path, before.HeapAlloc>>20, most>>20)
			}
		}
	})
}

// Trailers pass both ways, but for those that would speak for the gateway or
// come too late; interim responses pass as well.
func TestTrailersAndHints(t *testing.T) {
	w, stage := startProxy(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Link", "</style.css>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Del("Link")
		rw.Header().Set("Trailer", "X-Sum, X-Amzn-Requestid, Content-Type")
		io.Copy(rw, r.Body)
		rw.(http.Flusher).Flush()
		rw.Header().Set("X-Sum", "got "+r.Trailer.Get("X-Checked")+r.Trailer.Get("X-Forwarded-For")+r.Trailer.Get("Authorization"))
		rw.Header().Set("X-Amzn-Requestid", "mine")
	}))
	w.overBoth(t, func(t *testing.T, c *http.Client) {
		var hint string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == 103 {
				hint = h.Get("Link")
			}
			return nil
		}}
		body, in := io.Pipe()
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "POST", stage+"/t", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Trailer = http.Header{"X-Checked": nil, "X-Forwarded-For": nil, "Authorization": nil}
		go func() {
			io.WriteString(in, "content")
			req.Trailer["X-Checked"] = []string{"yes"}
			req.Trailer["X-Forwarded-For"] = []string{"192.0.2.1"}
			req.Trailer["Authorization"] = []string{"none"}
			in.Close()
		}()
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != "content" {
			t.Errorf("%q %v", got, err)
		}
		if sum := resp.Trailer.Get("X-Sum"); sum != "got yes" || resp.Trailer.Get("X-Amzn-Requestid") != "" {
			t.Errorf("trailer %v", resp.Trailer)
		}
		if hint != "</style.css>; rel=preload" {
			t.Errorf("hint %q", hint)
		}
	})
}
