//go:build race

package httpwire

// raceEnabled: the race detector makes pools forget at random.
const raceEnabled = true
