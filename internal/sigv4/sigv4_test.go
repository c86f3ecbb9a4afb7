package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var (
	testTime        = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	testCredentials = Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
)

func verifierAt(now time.Time) *Verifier {
	return &Verifier{
		Now: func() time.Time { return now },
		Secret: func(id string) (string, bool) {
			return testSecret, id == testKey
		},
	}
}

// parsed reads a request as a server would.
func parsed(t testing.TB, head string, body string) *http.Request {
	t.Helper()
	if body != "" {
		head += "Content-Length: " + formatLength(int64(len(body))) + "\r\n"
	}
	r, err := readRequest(strings.ReplaceAll(head, "\r\n", "\n") + "\n")
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	return r
}

// The examples that Amazon publishes with the algorithm (the signature test
// suite of 2015, and the ListUsers example of the reference).
func TestPublishedVectors(t *testing.T) {
	for _, v := range []struct {
		name, line, headers, body  string
		service, signed, signature string
	}{
		{"get-vanilla", "GET / HTTP/1.1", "Host:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1 HTTP/1.1", "Host:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"get-vanilla-empty-query-key", "GET /?Param1=value1 HTTP/1.1", "Host:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;x-amz-date", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		{"get-vanilla-query-unreserved", "GET /?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz HTTP/1.1", "Host:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;x-amz-date", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{"get-unreserved", "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz HTTP/1.1", "Host:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"get-header-key-duplicate", "GET / HTTP/1.1", "Host:example.amazonaws.com\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;my-header1;x-amz-date", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		{"get-header-value-trim", "GET / HTTP/1.1", "Host:example.amazonaws.com\nMy-Header1: value1\nMy-Header2: \"a   b   c\"\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"post-vanilla", "POST / HTTP/1.1", "Host:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n", "",
			"service", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"post-x-www-form-urlencoded", "POST / HTTP/1.1", "Content-Type:application/x-www-form-urlencoded\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n", "Param1=value1",
			"service", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		{"ListUsers", "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1", "Content-Type: application/x-www-form-urlencoded; charset=utf-8\nHost: iam.amazonaws.com\nX-Amz-Date: 20150830T123600Z\n", "",
			"iam", "content-type;host;x-amz-date", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
	} {
		t.Run(v.name, func(t *testing.T) {
			r := parsed(t, v.line+"\n"+v.headers+"Authorization: AWS4-HMAC-SHA256 Credential="+testKey+"/20150830/us-east-1/"+v.service+
				"/aws4_request, SignedHeaders="+v.signed+", Signature="+v.signature+"\n", v.body)
			scope, err := verifierAt(testTime).Verify(r, []byte(v.body))
			if err != nil {
				t.Fatal(err)
			}
			if want := (Scope{testKey, "20150830", "us-east-1", v.service}); scope != want {
				t.Errorf("scope %v, want %v", scope, want)
			}
		})
	}
}

// paths and queries that verifiers get wrong by decoding and escaping again.
var awkward = []string{
	"/restapis",
	"/restapis?limit=25&position=a%2Bb",
	"/domainnames/api.example.com/basepathmappings/%28none%29",
	"/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fabc?tagKeys=a&tagKeys=b&tagKeys=a%20b",
	"/v2/apis/abc/stages/$default",
	"/v2/apis/abc/stages/%24default",
	"/v2/apis/abc/stages/s/routesettings/GET%20%2Fpets%2F%7Bid%7D",
	"/restapis/%E2%82%AC/x%25y",
	"/a//b/./c",
	"/restapis?mode=import&empty&=x&b=&a=2&a=1&a1=0",
}

// Requests signed by the SDK's own signer, over a real connection.
func TestVerifiesTheSDK(t *testing.T) {
	now := time.Now()
	var scope Scope
	var failure error
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		scope, failure = verifierAt(now).Verify(r, body)
	}))
	defer web.Close()
	signer := v4.NewSigner()
	for _, path := range awkward {
		for _, body := range []string{"", `{"name":"pets"}`} {
			for _, presign := range []bool{false, true} {
				r, err := http.NewRequest("POST", web.URL+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				credentials := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
				if presign {
					query := r.URL.Query()
					query.Set("X-Amz-Expires", "60")
					r.URL.RawQuery = query.Encode()
					uri, headers, err := signer.PresignHTTP(context.Background(), credentials, r, hashOf([]byte(body)), "apigateway", "eu-central-1", now)
					if err != nil {
						t.Fatal(err)
					}
					if r, err = http.NewRequest("POST", uri, strings.NewReader(body)); err != nil {
						t.Fatal(err)
					}
					for name, values := range headers {
						r.Header[name] = values
					}
					r.Header.Del("Host")
				} else if err := signer.SignHTTP(context.Background(), credentials, r, hashOf([]byte(body)), "apigateway", "eu-central-1", now); err != nil {
					t.Fatal(err)
				}
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if failure != nil {
					t.Errorf("%s, body %q, presigned %v: %v", path, body, presign, failure)
				}
				if want := (Scope{testKey, now.UTC().Format("20060102"), "eu-central-1", "apigateway"}); scope != want {
					t.Errorf("%s: scope %v", path, scope)
				}
			}
		}
	}
}

// Sign and the SDK's signer agree on every header that both cover.
func TestSignsAsTheSDK(t *testing.T) {
	for _, path := range awkward {
		for _, token := range []string{"", "session/token=="} {
			body := []byte("a=b")
			request := func() *http.Request {
				r, err := http.NewRequest("PUT", "http://127.0.0.1:4566"+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				return r
			}
			ours, theirs := request(), request()
			Sign(ours, body, Credentials{testKey, testSecret, token}, "us-east-1", "acm", testTime)
			err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: token},
				theirs, hashOf(body), "acm", "us-east-1", testTime)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := ours.Header.Get("Authorization"), theirs.Header.Get("Authorization"); got != want {
				t.Errorf("%s:\n got %s\nwant %s", path, got, want)
			}
		}
	}
}

// signed returns a request that Sign made, for tests to spoil.
func signed(body string) *http.Request {
	r, err := http.NewRequest("POST", "http://127.0.0.1:4566/restapis?limit=5", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	Sign(r, []byte(body), testCredentials, "us-east-1", "apigateway", testTime)
	return r
}

func presigned(expires string) *http.Request {
	r, err := http.NewRequest("GET", "http://127.0.0.1:4566/restapis?X-Amz-Expires="+expires, nil)
	if err != nil {
		panic(err)
	}
	uri, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, hashOf(nil), "sts", "us-east-1", testTime)
	if err != nil {
		panic(err)
	}
	r, err = http.NewRequest("GET", uri, nil)
	if err != nil {
		panic(err)
	}
	return r
}

func TestRefusals(t *testing.T) {
	authorization := func(change func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", change(r.Header.Get("Authorization"))) }
	}
	replace := func(old, new string) func(*http.Request) {
		return authorization(func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	query := func(old, new string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, old, new, 1) }
	}
	for _, v := range []struct {
		name    string
		request *http.Request
		spoil   func(*http.Request)
		after   time.Duration
		code    string // empty: accepted
		message string // part of it
	}{
		{"as signed", signed("x"), nil, 0, "", ""},
		{"five minutes late", signed("x"), nil, 5 * time.Minute, "", ""},
		{"five minutes early", signed("x"), nil, -5 * time.Minute, "", ""},
		{"too late", signed("x"), nil, 5*time.Minute + time.Second, invalid,
			"Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"},
		{"too early", signed("x"), nil, -5*time.Minute - time.Second, invalid,
			"Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)"},

		{"no credentials", signed("x"), func(r *http.Request) { r.Header.Del("Authorization") }, 0, missingToken, "Missing Authentication Token"},
		{"basic credentials", signed("x"), func(r *http.Request) { r.SetBasicAuth("a", "b") }, 0, missingToken, ""},
		{"older algorithm", signed("x"), replace("AWS4-HMAC-SHA256", "AWS3-HMAC-SHA256"), 0, missingToken, ""},
		{"two credentials", signed("x"), func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, 0, incomplete, ""},
		{"header and query", signed("x"), func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=00" }, 0, incomplete, ""},
		{"no signature", signed("x"), authorization(func(s string) string { s, _, _ = strings.Cut(s, ", Signature"); return s }), 0, incomplete, "'Signature'"},
		{"signature twice", signed("x"), authorization(func(s string) string { return s + ", Signature=00" }), 0, incomplete, ""},
		{"unknown parameter", signed("x"), authorization(func(s string) string { return s + ", More=00" }), 0, incomplete, ""},
		{"short signature", signed("x"), authorization(func(s string) string { return s[:len(s)-2] }), 0, incomplete, ""},
		{"no date", signed("x"), func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 0, incomplete, "X-Amz-Date"},
		{"two dates", signed("x"), func(r *http.Request) { r.Header.Add("X-Amz-Date", "20150830T123600Z") }, 0, incomplete, ""},
		{"local date", signed("x"), func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150830T123600+0100") }, 0, incomplete, ""},
		{"other scope date", signed("x"), replace("/20150830/", "/20150831/"), 0, invalid, ""},
		{"other terminator", signed("x"), replace("aws4_request", "aws5_request"), 0, incomplete, ""},
		{"too few scope parts", signed("x"), replace("/us-east-1", ""), 0, incomplete, ""},
		{"empty region", signed("x"), replace("/us-east-1/", "//"), 0, incomplete, ""},
		{"huge header", signed("x"), authorization(func(s string) string { return s + strings.Repeat(" ", maxHeader) }), 0, incomplete, ""},

		{"unknown key", signed("x"), replace(testKey, "AKIDOTHER"), 0, unrecognized, "The security token included in the request is invalid."},
		{"session token", signed("x"), func(r *http.Request) {
			r.Header.Del("Authorization")
			Sign(r, []byte("x"), Credentials{testKey, testSecret, "token"}, "us-east-1", "apigateway", testTime)
		}, 0, unrecognized, ""},

		{"other method", signed("x"), func(r *http.Request) { r.Method = "PUT" }, 0, invalid, "does not match"},
		{"other path", signed("x"), func(r *http.Request) { r.URL.Path = "/restapi" }, 0, invalid, "does not match"},
		{"other query", signed("x"), query("limit=5", "limit=6"), 0, invalid, "does not match"},
		{"more query", signed("x"), func(r *http.Request) { r.URL.RawQuery += "&a=b" }, 0, invalid, "does not match"},
		{"other host", signed("x"), func(r *http.Request) { r.Host = "127.0.0.1:4567" }, 0, invalid, "does not match"},
		{"other region", signed("x"), replace("us-east-1", "us-east-2"), 0, invalid, "does not match"},
		{"other service", signed("x"), replace("apigateway", "acm"), 0, invalid, "does not match"},
		{"other signed header", signed("x"), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 0, invalid, "does not match"},
		{"signed header gone", signed("x"), func(r *http.Request) { r.Header.Del("Content-Type") }, 0, invalid, "content-type"},
		{"unsigned header", signed("x"), func(r *http.Request) { r.Header.Set("Accept", "text/plain") }, 0, "", ""},
		{"unsigned x-amz header", signed("x"), func(r *http.Request) { r.Header.Set("X-Amz-Target", "CertificateManager.DeleteCertificate") }, 0, invalid, "x-amz-target"},
		{"host not signed", signed("x"), replace("content-type;host;", "content-type;"), 0, invalid, "'Host'"},
		{"signed headers out of order", signed("x"), replace("content-type;host", "host;content-type"), 0, incomplete, ""},
		{"signed header twice", signed("x"), replace("host;", "host;host;"), 0, incomplete, ""},
		{"wrong content hash", signed("x"), func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", hashOf([]byte("y")))
			Sign(r, []byte("x"), testCredentials, "us-east-1", "apigateway", testTime)
		}, 0, invalid, "x-amz-content-sha256"},
		{"unsigned payload", signed("x"), func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			Sign(r, []byte("x"), testCredentials, "us-east-1", "apigateway", testTime)
		}, 0, invalid, "x-amz-content-sha256"},
		{"right content hash", signed("x"), func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", hashOf([]byte("x")))
			Sign(r, []byte("x"), testCredentials, "us-east-1", "apigateway", testTime)
		}, 0, "", ""},

		{"presigned", presigned("900"), nil, 900 * time.Second, "", ""},
		{"presigned, expired", presigned("900"), nil, 901 * time.Second, invalid, "Signature expired: 20150830T125100Z is now earlier than 20150830T125101Z"},
		{"presigned, early", presigned("900"), nil, -301 * time.Second, invalid, "Signature not yet current"},
		{"presigned, longer", presigned("60"), query("X-Amz-Expires=60", "X-Amz-Expires=61"), 0, invalid, "does not match"},
		{"presigned for ever", presigned("604801"), nil, 0, incomplete, "X-Amz-Expires"},
		{"presigned, no expiry", presigned("60"), query("&X-Amz-Expires=60", ""), 0, incomplete, "X-Amz-Expires"},
		{"presigned, negative expiry", presigned("-1"), nil, 0, incomplete, "X-Amz-Expires"},
		{"presigned, date twice", presigned("60"), func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Date=20150830T123600Z" }, 0, incomplete, "X-Amz-Date"},
		{"presigned, other names' case", presigned("60"), func(r *http.Request) {
			r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "X-Amz-", "x-amz-")
		}, 0, incomplete, ""},
		{"malformed query", signed("x"), query("limit=5", "limit=%zz"), 0, incomplete, ""},
		{"semicolon in the query", signed("x"), query("limit=5", "limit=5;a=b"), 0, incomplete, ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			body := []byte("x")
			if v.request.Method == "GET" {
				body = nil
			}
			if v.spoil != nil {
				v.spoil(v.request)
			}
			_, err := verifierAt(testTime.Add(v.after)).Verify(v.request, body)
			checkRefusal(t, err, v.code, v.message)
		})
	}
	t.Run("other body", func(t *testing.T) {
		_, err := verifierAt(testTime).Verify(signed("x"), []byte("y"))
		checkRefusal(t, err, invalid, "does not match")
	})
	t.Run("zero verifier", func(t *testing.T) {
		_, err := (&Verifier{}).Verify(signed("x"), []byte("x"))
		checkRefusal(t, err, unrecognized, "")
	})
}

func checkRefusal(t *testing.T, err error, code, message string) {
	t.Helper()
	var refused *Error
	switch {
	case code == "" && err != nil:
		t.Errorf("refused: %v", err)
	case code != "" && !errors.As(err, &refused):
		t.Errorf("got %v, want %s", err, code)
	case code != "" && (refused.Code != code || refused.Status != 403 || !strings.Contains(refused.Message, message)):
		t.Errorf("got %v, want %s %s", err, code, message)
	}
}

func TestParseScope(t *testing.T) {
	want := Scope{testKey, "20150830", "us-east-1", "apigateway"}
	if scope, err := ParseScope(signed("x")); err != nil || scope != want {
		t.Errorf("header: %v, %v", scope, err)
	}
	want.Service = "sts"
	if scope, err := ParseScope(presigned("60")); err != nil || scope != want {
		t.Errorf("presigned: %v, %v", scope, err)
	}
}

func FuzzVerify(f *testing.F) {
	r := signed("x")
	f.Add("GET", "/restapis?limit=5", r.Header.Get("Authorization"), "20150830T123600Z", "x")
	f.Add("GET", presigned("60").URL.RequestURI(), "", "", "")
	f.Add("PUT", "/tags/arn%3Aaws?tagKeys=a&tagKeys=%zz", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e", "x", "")
	secret := "not the client's"
	f.Fuzz(func(t *testing.T, method, target, authorization, date, body string) {
		var wire bytes.Buffer
		wire.WriteString(method + " " + target + " HTTP/1.1\nHost: a\n")
		for name, value := range map[string]string{"Authorization": authorization, "X-Amz-Date": date} {
			if value != "" {
				wire.WriteString(name + ": " + value + "\n")
			}
		}
		r, err := readRequest(wire.String() + "\n")
		if err != nil {
			return
		}
		verifier := &Verifier{Secret: func(string) (string, bool) { return secret, true }}
		if _, err := verifier.Verify(r, []byte(body)); err == nil {
			t.Fatal("accepted")
		} else if _, ok := err.(*Error); !ok {
			t.Fatalf("%T: %v", err, err)
		}
		// What Sign makes of the same request, Verify takes.
		r.Header.Del("Authorization")
		r.Header.Del("X-Amz-Date")
		query := r.URL.Query()
		if strings.Contains(strings.ToLower(r.URL.RawQuery), "x-amz-") || strings.Contains(strings.ToLower(query.Encode()), "x-amz-") {
			return
		}
		Sign(r, []byte(body), Credentials{"key", secret, ""}, "us-east-1", "acm", time.Now())
		if r.Header.Get("Authorization") == "" {
			return // a query that cannot be parsed
		}
		if _, err := verifier.Verify(r, []byte(body)); err != nil {
			t.Fatalf("refused what Sign made of %q: %v", target, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := signed("x")
	verifier := verifierAt(testTime)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verifier.Verify(r, []byte("x")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	r := signed("x")
	b.ReportAllocs()
	for b.Loop() {
		Sign(r, []byte("x"), testCredentials, "us-east-1", "apigateway", testTime)
	}
}

func readRequest(text string) (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
}
