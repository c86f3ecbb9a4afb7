package snapshot

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

const (
	searchPFS = "Policy-Min-TLS-1-2-PFS-2023-10"
	searchOld = "Policy-Min-TLS-1-0-2019-07"
	searchAt  = ".us-east-1.es.localhost"
)

// searchDoc is a search domain, with a custom endpoint unless custom is "".
func searchDoc(name, policy, custom, certificate string, enforce bool) store.Put {
	d := types.DomainStatus{DomainName: aws.String(name), ARN: aws.String(resource.SearchDomainARN(resource.Place{Region: "us-east-1", Account: "000000000000"}, name)),
		Endpoint:              aws.String("search-" + name + "-id" + searchAt),
		DomainEndpointOptions: &types.DomainEndpointOptions{EnforceHTTPS: &enforce, TLSSecurityPolicy: types.TLSSecurityPolicy(policy)}}
	if custom != "" {
		d.DomainEndpointOptions.CustomEndpointEnabled, d.DomainEndpointOptions.CustomEndpoint = aws.Bool(true), &custom
		d.DomainEndpointOptions.CustomEndpointCertificateArn = aws.String("arn:aws:acm:us-east-1:000000000000:certificate/" + certificate)
	}
	return doc(resource.SearchDomainKey(name), d)
}

// domainOf is the search domain that a host leads to, "" for none.
func (w *world) domainOf(host string) string {
	if n := w.Current().Lookup(host); n != nil && n.Search != nil {
		return n.Search.Domain
	}
	return ""
}

const (
	certificateA = "00000000-0000-0000-0000-00000000000a"
	certificateB = "00000000-0000-0000-0000-00000000000b"
)

func TestSearchDomain(t *testing.T) {
	w := newWorld(t, nil)
	w.put(searchDoc("logs", searchOld, "", "", false))
	n := w.Current().Lookup("SEARCH-logs-id.us-east-1.es.LOCALHOST.")
	if n == nil || n.Policy.Name != searchOld || n.Search == nil || n.Search.Domain != "logs" || n.Search.EnforceHTTPS || n.Endpoints != Regional || n.Certificates[0] != defaultCertificate {
		t.Fatalf("%+v", n)
	}
	if other := w.domainOf("search-logs-id.us-east-1.es.amazonaws.com"); other != "logs" {
		t.Errorf("under the second suffix: %q", other)
	}
	for _, host := range []string{"logs" + searchAt, "us-east-1.es.localhost", "a.search-logs-id" + searchAt, "search-logs-id.eu-west-1.es.localhost"} {
		if n := w.Current().Lookup(host); n != nil {
			t.Errorf("%s leads to %+v", host, n)
		}
	}

	// A change is another name, so that connections and tickets of the old one end.
	for _, step := range []struct {
		what string
		put  store.Put
		same bool
	}{
		{"nothing", searchDoc("logs", searchOld, "", "", false), true},
		{"its policy", searchDoc("logs", searchPFS, "", "", false), false},
		{"EnforceHTTPS", searchDoc("logs", searchPFS, "", "", true), false},
	} {
		before := w.Current().Lookup("search-logs-id" + searchAt)
		w.put(step.put)
		if after := w.Current().Lookup("search-logs-id" + searchAt); (before == after) != step.same {
			t.Errorf("%s changed: the same name is %v", step.what, before == after)
		}
	}
	if n := w.Current().Lookup("search-logs-id" + searchAt); n.Policy.Name != searchPFS || !n.Search.EnforceHTTPS {
		t.Errorf("%+v", n)
	}

	// What does not compile is named, and the last good version serves on.
	w.put(searchDoc("logs", "TLS_1_2", "", "", false))
	w.wantFault(resource.SearchDomainKey("logs"), "not one of search domains", true)
	if n := w.Current().Lookup("search-logs-id" + searchAt); n == nil || n.Policy.Name != searchPFS || !n.Search.EnforceHTTPS {
		t.Errorf("%+v", n)
	}
	w.commit(store.Change{Deletes: []string{resource.SearchDomainKey("logs")}})
	w.wantNoFaults()
	if n := w.Current().Lookup("search-logs-id" + searchAt); n != nil {
		t.Errorf("a domain that is no more: %+v", n)
	}
}

func TestSearchCustomEndpoint(t *testing.T) {
	w := newWorld(t, nil)
	w.put(searchDoc("logs", searchPFS, "logs.example.com", certificateA, true))
	w.wantFault(resource.SearchDomainKey("logs"), "certificate "+certificateA, false)
	w.put(w.materialDoc(certificateA, "logs.example.com"))
	w.wantNoFaults() // the certificate wakes it
	n := w.Current().Lookup("logs.example.com")
	if n == nil || n.Search == nil || n.Policy.Name != searchPFS || n.Certificates[0].Leaf.DNSNames[0] != "logs.example.com" {
		t.Fatalf("%+v", n)
	}
	if got := w.domainOf("search-logs-id" + searchAt); got != "logs" {
		t.Errorf("beside the custom endpoint the other is gone: %q", got)
	}

	// A certificate that is imported anew is another name.
	w.put(w.materialDoc(certificateA, "logs.example.com"))
	if again := w.Current().Lookup("logs.example.com"); again == n || again.Certificates[0] == n.Certificates[0] || again.Revision == n.Revision {
		t.Error("the old certificate is served on")
	}
	// One that goes leaves the last good version, and a fault.
	w.commit(store.Change{Deletes: []string{resource.MaterialKey(certificateA)}})
	w.wantFault(resource.SearchDomainKey("logs"), certificateA, true)
	if got := w.domainOf("logs.example.com"); got != "logs" {
		t.Errorf("%q", got)
	}
	w.put(searchDoc("logs", searchPFS, "", "", true))
	w.wantNoFaults()
	if n := w.Current().Lookup("logs.example.com"); n != nil {
		t.Errorf("a custom endpoint that is no more: %+v", n)
	}

	for _, host := range []string{"abc.execute-api.us-east-1.localhost", "search-x" + searchAt, "us-east-1.es.localhost", "a..example.com"} {
		w.put(w.materialDoc(certificateB, "x"), searchDoc("logs", searchPFS, host, certificateB, true))
		w.wantFault(resource.SearchDomainKey("logs"), "can be no custom endpoint", true)
	}
}

// A name that goes from one domain to another within what is compiled at once
// leads to the other, in whatever order they come.
func TestSearchEndpointMoves(t *testing.T) {
	w := newWorld(t, nil)
	w.put(w.materialDoc(certificateA, "logs.example.com"), searchDoc("one", searchPFS, "logs.example.com", certificateA, true), searchDoc("two", searchPFS, "", "", true))
	to, from := "two", "one"
	for range 30 {
		w.put(searchDoc(from, searchPFS, "", "", true), searchDoc(to, searchPFS, "logs.example.com", certificateA, true))
		if got := w.domainOf("logs.example.com"); got != to {
			t.Fatalf("it leads to %q, want %s", got, to)
		}
		to, from = from, to
	}
}
