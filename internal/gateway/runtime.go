package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sallyport/sallyport/internal/pki"
)

// Runtime says where a running gateway is reached. It is also the content of
// DIR/runtime.json, there while the gateway is ready. Paths are absolute.
type Runtime struct {
	Admin       string            `json:"admin"`     // http://127.0.0.1:4566
	Listeners   map[string]string `json:"listeners"` // type -> host:port
	CA          string            `json:"ca"`
	Credentials string            `json:"credentials"`

	path string
}

// write puts the file in place by rename.
func (r *Runtime) write() error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return pki.WriteFileAtomic(r.path, append(data, '\n'), 0o644)
}

// remove takes the file away; one left behind by a killed process would name
// ports that somebody else may hold.
func (r *Runtime) remove() error {
	if r.path == "" {
		return nil
	}
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("runtime file: %w", err)
	}
	return nil
}
