//go:build !race

package backgate

const raced = false
