package controlplane

import (
	"encoding/json"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/resource"
)

// marker is the value under a marker's key: it says nothing, its revision does.
type marker struct{}

// ours reports whether doc is one of this program's own types, kept as plain
// JSON; all others are the SDK's and kept as the wire's JSON.
func ours(doc any) bool {
	switch doc.(type) {
	case marker,
		resource.Frozen, *resource.Frozen,
		resource.StageEffect, *resource.StageEffect,
		resource.Transition, *resource.Transition,
		resource.Material, *resource.Material,
		resource.Rotation, *resource.Rotation,
		resource.SearchHistory, *resource.SearchHistory:
		return true
	}
	return false
}

func marshal(doc any) ([]byte, error) {
	if ours(doc) {
		return json.Marshal(doc)
	}
	return awsapi.Marshal(doc)
}

func unmarshal(value []byte, doc any) error {
	if ours(doc) {
		return json.Unmarshal(value, doc)
	}
	return awsapi.Unmarshal(value, doc)
}
