package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The committed tables are what this program writes from the SDK versions that
// go.mod names; run go generate ./internal/awsapi when this fails.
func TestTablesAreCurrent(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the SDK's code says", name)
		}
	}
	committed, err := filepath.Glob("../zz_*.go")
	if err != nil || len(committed) != len(files) {
		t.Errorf("%d tables committed, %d generated, %v", len(committed), len(files), err)
	}
}
