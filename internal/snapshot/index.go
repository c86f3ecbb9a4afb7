package snapshot

import (
	"hash/maphash"
	"maps"
)

// shards is how many small maps an index is cut into: a commit copies the
// shards that it touches and the table of shards (8 KiB), never the whole.
// 100,000 names make about 100 a shard.
const shards = 1024

var shardSeed = maphash.MakeSeed()

func shardOf(key string) int { return int(maphash.String(shardSeed, key) % shards) }

// index is an immutable map from strings. The zero value is empty. Readers
// need no lock; edit makes a changed copy.
type index[V any] struct {
	table *[shards]map[string]V
}

func (x index[V]) get(key string) (v V, ok bool) {
	if x.table == nil {
		return v, false
	}
	v, ok = x.table[shardOf(key)][key]
	return v, ok
}

// all calls f for each entry, in no order.
func (x index[V]) all(f func(string, V)) {
	if x.table == nil {
		return
	}
	for _, m := range x.table {
		for k, v := range m {
			f(k, v)
		}
	}
}

// edit gathers changes to an index; index returns the changed copy.
type edit[V any] struct {
	base  index[V]
	table *[shards]map[string]V // nil until the first change
	owned [shards / 64]uint64   // shards that were copied already
}

func (x index[V]) edit() *edit[V] { return &edit[V]{base: x} }

// own returns the shard of key for writing.
func (e *edit[V]) own(key string) map[string]V {
	if e.table == nil {
		e.table = new([shards]map[string]V)
		if e.base.table != nil {
			*e.table = *e.base.table
		}
	}
	i := shardOf(key)
	if e.owned[i/64]&(1<<(i%64)) == 0 {
		e.owned[i/64] |= 1 << (i % 64)
		if m := maps.Clone(e.table[i]); m != nil {
			e.table[i] = m
		} else {
			e.table[i] = make(map[string]V)
		}
	}
	return e.table[i]
}

func (e *edit[V]) get(key string) (V, bool) {
	if e.table == nil {
		return e.base.get(key)
	}
	v, ok := e.table[shardOf(key)][key]
	return v, ok
}

func (e *edit[V]) set(key string, v V) { e.own(key)[key] = v }

func (e *edit[V]) delete(key string) {
	if _, ok := e.get(key); ok {
		delete(e.own(key), key)
	}
}

func (e *edit[V]) changed() bool { return e.table != nil }

func (e *edit[V]) index() index[V] {
	if e.table == nil {
		return e.base
	}
	return index[V]{table: e.table}
}
