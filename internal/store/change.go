package store

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Bounds that every engine keeps.
const (
	// MaxKeyBytes bounds one key.
	MaxKeyBytes = 1024
	// MaxChangeBytes bounds the keys and values of one Change together.
	MaxChangeBytes = 32 << 20
)

// Errors of changes that no engine applies, whatever it holds.
var (
	// ErrInvalidChange: the change breaks a rule of Change; nothing was changed.
	ErrInvalidChange = errors.New("invalid change")
	// ErrTooLarge: the change exceeds a bound, or the store is full; nothing
	// was changed.
	ErrTooLarge = errors.New("change too large")
	// ErrClosed: the engine was closed before the call could take effect.
	ErrClosed = errors.New("store is closed")
)

// Validate reports the first rule of Change that c breaks, wrapping
// ErrInvalidChange or ErrTooLarge. Engines call it before anything else.
func (c Change) Validate() error {
	if len(c.Puts) == 0 && len(c.Deletes) == 0 && len(c.DeletePrefixes) == 0 {
		return fmt.Errorf("%w: it neither puts nor deletes", ErrInvalidChange)
	}
	size := 0
	check := func(what, key string) error {
		switch {
		case key == "":
			// An empty prefix would empty the store: never what is meant.
			return fmt.Errorf("%w: empty %s", ErrInvalidChange, what)
		case len(key) > MaxKeyBytes:
			return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, what, len(key), MaxKeyBytes)
		case !utf8.ValidString(key):
			return fmt.Errorf("%w: %s %q is not UTF-8", ErrInvalidChange, what, key)
		}
		size += len(key)
		return nil
	}
	for _, g := range c.Guards {
		if err := check("guarded key", g.Key); err != nil {
			return err
		}
	}
	put := make(map[string]bool, len(c.Puts))
	for _, p := range c.Puts {
		if err := check("key", p.Key); err != nil {
			return err
		}
		if put[p.Key] {
			return fmt.Errorf("%w: %q is put twice", ErrInvalidChange, p.Key)
		}
		put[p.Key] = true
		size += len(p.Value)
	}
	for _, key := range c.Deletes {
		if err := check("key", key); err != nil {
			return err
		}
		if put[key] {
			return fmt.Errorf("%w: %q is both put and deleted", ErrInvalidChange, key)
		}
	}
	for _, prefix := range c.DeletePrefixes {
		if err := check("prefix", prefix); err != nil {
			return err
		}
	}
	if size > MaxChangeBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxChangeBytes)
	}
	return nil
}
