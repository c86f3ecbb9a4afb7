package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/store"
)

// The file holds two buckets: one with the format and the revision, one with
// the documents. A document is its revision, 8 bytes big-endian, then its value.
var (
	bucketAbout     = []byte("sallyport")
	bucketDocuments = []byte("documents")
	keyFormat       = []byte("format")
	keyRevision     = []byte("revision")
)

// format is the layout above. A file of another format is refused, not guessed.
const format = 1

// growBytes is by how much the file grows at a time. Growing costs a truncate
// and a sync, so not page by page; bbolt's own 16 MiB would dwarf most stores.
const growBytes = 1 << 20

// openFile opens the bbolt file at path, creating it if need be.
func openFile(path string, opts Options) (db *bbolt.DB, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create: %w", err)
		}
	}
	if err := pki.CheckPrivate(path); err != nil {
		return nil, err
	}
	pki.RemoveLeftovers(path)
	defer faults(&err)()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout,
		// The free list is synced with each commit: one page more in a sync that
		// happens anyway, and opening does not have to scan the whole file.
		NoFreelistSync: false,
		FreelistType:   bbolt.FreelistMapType, // the array type degrades on large, fragmented files
		// The mapping never grows: growing waits for all readers, and the
		// current generation always is one.
		InitialMmapSize: opts.MaxBytes,
		MaxSize:         opts.MaxBytes,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			return opts.openFile(name, flag&^os.O_CREATE, mode) // creation is create's alone
		},
		NoStatistics: true,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w; hint: stop the other process, or name another data directory", ErrLocked)
	case err != nil:
		return nil, err
	}
	db.AllocSize = growBytes
	return db, nil
}

// create makes an empty store beside path and then gives it its name, so that
// a kill at any moment leaves either no file or a whole one.
func create(path string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), pki.TempPattern(path)) // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone already when all went well
	if err := temp.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(temp.Name(), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		about, err := tx.CreateBucket(bucketAbout)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(bucketDocuments); err != nil {
			return err
		}
		return errors.Join(about.Put(keyFormat, number(format)), about.Put(keyRevision, number(0)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	err = pki.PublishFile(temp.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was first; its file is as good
	}
	return err
}

// readRevision checks that db is a whole store and returns its revision.
func readRevision(db *bbolt.DB) (revision store.Revision, err error) {
	defer faults(&err)()
	err = db.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(db.Path())
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("damaged: %d bytes long, but its pages end at %d", info.Size(), tx.Size())
		}
		about := tx.Bucket(bucketAbout)
		if about == nil || tx.Bucket(bucketDocuments) == nil {
			return errors.New("not a Sallyport store")
		}
		f, r := about.Get(keyFormat), about.Get(keyRevision)
		if len(f) != 8 || len(r) != 8 {
			return errors.New("damaged: no format or revision")
		}
		if n := binary.BigEndian.Uint64(f); n != format {
			return fmt.Errorf("format %d, but this program knows format %d only", n, format)
		}
		revision = store.Revision(binary.BigEndian.Uint64(r))
		return nil
	})
	return revision, err
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// encode is a document as the file holds it.
func encode(revision store.Revision, value []byte) []byte {
	b := make([]byte, 8, 8+len(value))
	binary.BigEndian.PutUint64(b, uint64(revision))
	return append(b, value...)
}

// decode copies a document out of the file; ok is false if there is none.
func decode(key string, b []byte) (doc store.Document, ok bool, err error) {
	switch {
	case b == nil:
		return store.Document{}, false, nil
	case len(b) < 8:
		return store.Document{}, false, fmt.Errorf("%q: damaged document of %d bytes", key, len(b))
	}
	return store.Document{
		Key:      key,
		Value:    append(make([]byte, 0, len(b)-8), b[8:]...), // never nil: nil means deleted
		Revision: store.Revision(binary.BigEndian.Uint64(b)),
	}, true, nil
}
