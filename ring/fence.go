//go:build !race

package ring

// fence does nothing: Go's atomics are sequentially consistent, so a store of
// theirs is a full fence already. See fence_race.go.
func fence() {}
