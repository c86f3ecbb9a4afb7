package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

const testARN = "arn:aws:acm:us-east-1:000000000000:certificate/c1"

// shows attaches a client certificate to a stage.
func shows(id string) func(*types.Stage) {
	return func(s *types.Stage) { s.ClientCertificateId = aws.String(id) }
}

// clientMaterialDoc makes a fresh certificate for backends.
func (w *world) clientMaterialDoc(id string) store.Put {
	w.Helper()
	put := materialDoc(w.sealer, id, newCertificate("ApiGateway"), nil)
	put.Key = resource.ClientMaterialKey(id)
	return put
}

func rotationDoc(api, stage, previous string) store.Put {
	return doc(resource.RotationKey(api, stage), resource.Rotation{Previous: previous, Since: time.Now()})
}

func (w *world) stage(api string) *Stage {
	w.Helper()
	s := w.Current().API(api).Stages["prod"]
	if s == nil {
		w.Fatalf("%s has no stage; faults %+v", api, w.Current().Faults())
	}
	return s
}

// A stage's certificates follow the documents, and one certificate is one
// pointer: connections to backends are shared by it.
func TestClientCertificates(t *testing.T) {
	w := newWorld(t, nil, slices.Concat(deployed("abc"), deployed("def"))...)
	w.put(w.clientMaterialDoc("cert01"), w.clientMaterialDoc("cert02"))
	if s := w.stage("abc"); s.ClientCertificate != nil || s.PreviousCertificate != nil || s.ClientCertificateID != "" {
		t.Errorf("%+v", s)
	}
	w.put(stageDoc("abc", "prod", "d1", shows("cert01")), stageDoc("def", "prod", "d1", shows("cert01")))
	abc, def := w.stage("abc"), w.stage("def")
	first := abc.ClientCertificate
	if first == nil || first.Leaf == nil || abc.ClientCertificateID != "cert01" || def.ClientCertificate != first || abc.PreviousCertificate != nil {
		t.Fatalf("abc shows %p, def %p", first, def.ClientCertificate)
	}
	if len(w.Current().Refused()) != 0 {
		t.Errorf("refused %+v", w.Current().Refused())
	}
	// Another commit, a restart of the watch and another stage keep the pointer.
	w.put(stageDoc("abc", "prod", "d1", shows("cert01"), func(s *types.Stage) { s.Variables = map[string]string{"a": "b"} }), apiDoc("new", policy13, ""))
	if got := w.stage("abc").ClientCertificate; got != first {
		t.Errorf("a commit that touches something else replaces %p by %p", first, got)
	}

	// A rotation: both are there, and it ends with its document.
	w.put(stageDoc("abc", "prod", "d1", shows("cert02")), rotationDoc("abc", "prod", "cert01"))
	abc = w.stage("abc")
	if abc.ClientCertificate == first || abc.PreviousCertificate != first || abc.PreviousCertificateID != "cert01" || w.stage("def").ClientCertificate != first {
		t.Errorf("%+v", abc)
	}
	list := w.Current().ClientCertificates()
	if len(list) != 2 || list[0].ID != "cert01" || !slices.Equal(list[0].Stages, []string{"def/prod"}) || !slices.Equal(list[0].Previous, []string{"abc/prod"}) ||
		list[1].ID != "cert02" || list[1].Certificate != abc.ClientCertificate || !slices.Equal(list[1].Stages, []string{"abc/prod"}) || list[1].Previous != nil {
		t.Errorf("%+v", list)
	}
	w.put(stageDoc("abc", "prod", "d1", shows("cert01")), rotationDoc("abc", "prod", "cert02"))
	if back := w.stage("abc"); back.ClientCertificate != first || back.PreviousCertificate != abc.ClientCertificate {
		t.Error("going back does not swap the two")
	}
	w.commit(store.Change{Puts: []store.Put{stageDoc("def", "prod", "d1", shows("cert01"))}, Deletes: []string{resource.RotationKey("abc", "prod"), resource.ClientMaterialKey("cert02")}})
	if s := w.stage("abc"); s.ClientCertificate != first || s.PreviousCertificate != nil || s.PreviousCertificateID != "" {
		t.Errorf("%+v", s)
	}
	w.wantNoFaults()
	w.put(stageDoc("abc", "prod", "d1"), stageDoc("def", "prod", "d1"))
	if s := w.stage("abc"); s.ClientCertificate != nil || len(w.Current().ClientCertificates()) != 0 {
		t.Errorf("%+v", s)
	}
	if len(w.certificates) > 0 && len(w.sources.users) > 0 {
		t.Errorf("%d certificates are kept for nobody", len(w.certificates))
	}
}

// A certificate of ACM is one pointer for domain names and stages, and a new
// one for all of them as soon as it is imported again.
func TestClientCertificateFromACM(t *testing.T) {
	w := newWorld(t, nil, slices.Concat(deployed("abc"), deployed("def"))...)
	w.put(w.materialDoc("c1", "www.example.com"), domainDoc("www.example.com", policy13, "BASIC", "c1"),
		stageDoc("abc", "prod", "d1", shows(testARN)), stageDoc("def", "prod", "d1", shows(testARN)))
	first := w.stage("abc").ClientCertificate
	if first == nil || w.stage("def").ClientCertificate != first || w.Current().Lookup("www.example.com").Certificates[0] != first {
		t.Fatal("not one certificate")
	}
	w.put(w.materialDoc("c1", "www.example.com"))
	second := w.stage("abc").ClientCertificate
	if second == first || w.stage("def").ClientCertificate != second || w.Current().Lookup("www.example.com").Certificates[0] != second {
		t.Errorf("the import is not taken: %p, %p, %p", first, second, w.stage("def").ClientCertificate)
	}
	w.wantNoFaults()
	if got, err := w.ClientCertificate(t.Context(), testARN); got != second || err != nil {
		t.Errorf("%p %v", got, err)
	}
	w.put(w.clientMaterialDoc("cert01"))
	if got, err := w.ClientCertificate(t.Context(), "cert01"); err != nil || got.Leaf == nil {
		t.Errorf("one that no stage shows: %v", err)
	}
	for _, id := range []string{"none01", strings.Replace(testARN, "/c1", "/c2", 1)} {
		if _, err := w.ClientCertificate(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := w.ClientCertificate(t.Context(), "../seal.key"); err == nil {
		t.Error("an id that is none")
	}
}

// What cannot be shown as it should be is not served without it; what served
// before goes on.
func TestClientCertificateFaults(t *testing.T) {
	other, err := pki.OpenSealKey(t.TempDir() + "/seal.key")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		docs   func(*world) []store.Put
		reason string
	}{
		{"no such certificate", func(*world) []store.Put { return []store.Put{stageDoc("abc", "prod", "d1", shows("none01"))} }, "client certificate apigateway/clientmaterial/none01"},
		{"not in ACM", func(*world) []store.Put { return []store.Put{stageDoc("abc", "prod", "d1", shows(testARN))} }, "client certificate acm/material/c1"},
		{"neither id nor ARN", func(*world) []store.Put {
			return []store.Put{stageDoc("abc", "prod", "d1", shows("../acm/material/c1"))}
		}, "neither an id nor an ACM ARN"},
		{"sealed with another key", func(*world) []store.Put {
			put := materialDoc(other, "cert01", newCertificate("a"), nil)
			put.Key = resource.ClientMaterialKey("cert01")
			return []store.Put{put, stageDoc("abc", "prod", "d1", shows("cert01"))}
		}, "does not open"},
		{"sealed for another certificate", func(w *world) []store.Put {
			put := materialDoc(w.sealer, "cert02", newCertificate("a"), nil)
			put.Key = resource.ClientMaterialKey("cert01")
			return []store.Put{put, stageDoc("abc", "prod", "d1", shows("cert01"))}
		}, "does not open"},
		{"the previous one is gone", func(w *world) []store.Put {
			return []store.Put{w.clientMaterialDoc("cert01"), stageDoc("abc", "prod", "d1", shows("cert01")), rotationDoc("abc", "prod", "none01")}
		}, "apigateway/clientmaterial/none01"},
		{"a rotation from nothing", func(w *world) []store.Put {
			return []store.Put{w.clientMaterialDoc("cert01"), stageDoc("abc", "prod", "d1", shows("cert01")), rotationDoc("abc", "prod", "")}
		}, "neither an id nor an ACM ARN"},
		{"damaged rotation", func(w *world) []store.Put {
			return []store.Put{w.clientMaterialDoc("cert01"), stageDoc("abc", "prod", "d1", shows("cert01")), doc(resource.RotationKey("abc", "prod"), []byte("{"))}
		}, "client certificate rotation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := resource.StageKey("abc", "prod")
			fresh := newWorld(t, nil, deployed("abc")[:2]...)
			fresh.put(tt.docs(fresh)...)
			fresh.wantFault(key, tt.reason, false)
			if fresh.Current().API("abc").Stages["prod"] != nil {
				t.Error("the stage is served without the certificate that it should show")
			}
			w := newWorld(t, nil, deployed("abc")...)
			w.put(w.clientMaterialDoc("good01"), stageDoc("abc", "prod", "d1", shows("good01")))
			before := w.stage("abc").ClientCertificate
			w.put(tt.docs(w)...)
			w.wantFault(key, tt.reason, true)
			if w.stage("abc").ClientCertificate != before {
				t.Error("the last good version does not go on")
			}
			w.commit(store.Change{Puts: []store.Put{stageDoc("abc", "prod", "d1", shows("good01"))}, Deletes: []string{resource.RotationKey("abc", "prod")}})
			w.wantNoFaults()
		})
	}
}

// Listing the store again, for a compiler that fell behind, keeps the pointers
// of what did not change.
func TestClientCertificateSurvivesListing(t *testing.T) {
	var gate sync.Mutex
	entered := make(chan struct{}, 100)
	w := newWorldOn(t, bolt.Options{History: 4}, func(o *Options) {
		o.BeforeSwap = func(_, _ *Snapshot) {
			entered <- struct{}{}
			gate.Lock()
			defer gate.Unlock()
		}
	})
	w.put(deployed("abc")...)
	w.put(w.clientMaterialDoc("cert01"), w.clientMaterialDoc("cert02"), stageDoc("abc", "prod", "d1", shows("cert02")), rotationDoc("abc", "prod", "cert01"))
	before := *w.stage("abc")
	gate.Lock()
	for len(entered) > 0 {
		<-entered
	}
	var last store.Revision
	for i := range 20 {
		var err error
		if last, err = w.st.Commit(t.Context(), store.Change{Puts: []store.Put{apiDoc("new", policy13, "BASIC"), doc("x", []byte(fmt.Sprint(i)))}}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-entered // the compiler hangs in the hook
		}
	}
	gate.Unlock()
	w.served(last)
	after := w.stage("abc")
	if before.ClientCertificate == nil || after.ClientCertificate != before.ClientCertificate || after.PreviousCertificate != before.PreviousCertificate {
		t.Errorf("%p and %p became %p and %p", before.ClientCertificate, before.PreviousCertificate, after.ClientCertificate, after.PreviousCertificate)
	}
}
