package snapshot

import (
	"fmt"
	"testing"
)

func TestIndexCopiesOnWrite(t *testing.T) {
	var empty index[int]
	e := empty.edit()
	for i := range 5000 {
		e.set(fmt.Sprint(i), i)
	}
	first := e.index()
	e = first.edit()
	e.set("7", -7)
	e.delete("8")
	e.delete("no such key")
	second := e.index()

	if _, ok := empty.get("7"); ok {
		t.Error("the empty index changed")
	}
	if v, _ := first.get("7"); v != 7 {
		t.Errorf("the old index shows %d", v)
	}
	if v, _ := second.get("7"); v != -7 {
		t.Errorf("the new index shows %d", v)
	}
	if _, ok := first.get("8"); !ok {
		t.Error("the old index lost a key")
	}
	if _, ok := second.get("8"); ok {
		t.Error("the new index kept a deleted key")
	}
	n := 0
	second.all(func(string, int) { n++ })
	if n != 4999 {
		t.Errorf("%d entries, want 4999", n)
	}
	shared := 0
	for i := range shards {
		if len(first.table[i]) > 0 && fmt.Sprintf("%p", first.table[i]) == fmt.Sprintf("%p", second.table[i]) {
			shared++
		}
	}
	if shared < shards-50 {
		t.Errorf("only %d of %d shards are shared", shared, shards)
	}
	if e := second.edit(); e.changed() || e.index().table != second.table {
		t.Error("an edit without changes copies")
	}
}
