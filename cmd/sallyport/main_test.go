package main

import (
	"io"
	"log"
	"testing"
)

// The standard logger would print what backends send unasked.
func TestStandardLoggerIsSilent(t *testing.T) {
	if code := run(t.Context(), []string{"version"}, io.Discard, io.Discard); code != 0 {
		t.Fatal(code)
	}
	if log.Writer() != io.Discard {
		t.Error("the standard logger prints")
	}
}
