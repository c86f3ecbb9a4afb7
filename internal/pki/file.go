package pki

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// leftoverAge is how old a temporary file must be for its writer to be taken
// for dead. Writing one takes milliseconds.
const leftoverAge = time.Minute

// TempPattern is the pattern for os.CreateTemp, in path's directory, of the
// file that is to become path.
func TempPattern(path string) string { return "." + filepath.Base(path) + ".tmp-*" }

// WriteFileAtomic replaces path by data, or creates it, with exactly mode. A
// reader, or a crash at any moment, finds the old file or the new one, whole;
// on return without error the new one is durable, its name included.
func WriteFileAtomic(path string, data []byte, mode fs.FileMode) error {
	temp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// CreateFileAtomic is WriteFileAtomic for a file that must not be replaced: if
// path exists it stays as it is and the error is fs.ErrExist. Of two processes
// that create one key at once, both so go on with the same one.
func CreateFileAtomic(path string, data []byte, mode fs.FileMode) error {
	temp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	return PublishFile(temp, path)
}

// PublishFile gives the complete and synced file temp, in the same directory,
// the name path, unless that exists: then temp is removed and the error is
// fs.ErrExist.
func PublishFile(temp, path string) error {
	// A link and not a rename, which would replace path without a word.
	if err := os.Link(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Remove(temp); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// RemoveLeftovers removes what writers of path that were killed left behind.
// It is tidying up, so failing is no error.
func RemoveLeftovers(path string) {
	names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), TempPattern(path)))
	for _, name := range names {
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > leftoverAge {
			os.Remove(name) //nolint:errcheck // see above
		}
	}
}

// MakeDir creates dir, mode 0700, and its missing parents durably: the name of
// each is synced in its parent. An existing directory stays as it is.
func MakeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s: not a directory", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// CheckPrivate refuses path unless it is a regular file closed to group and
// others; the error names it and says how to close it.
func CheckPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return checkPrivate(path, info)
}

func checkPrivate(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%s: mode %04o lets others at it; hint: chmod 600 %s", path, perm, path)
	}
	return nil
}

// readPrivate reads a file of secrets: at most limit bytes, closed to others.
func readPrivate(path string, limit int64) ([]byte, error) {
	return readFile(path, limit, true)
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64, private bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if private { // judged on the open file: the name may change hands meanwhile
		if err := checkPrivate(path, info); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return data, nil
}

// writeTemp writes data, synced, to a new file beside path.
func writeTemp(path string, data []byte, mode fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), TempPattern(path))
	if err != nil {
		return "", err
	}
	_, werr := f.Write(data)
	// The mode is set on the open file, so that no umask loosens or tightens it.
	if err := errors.Join(werr, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
