// Package kongtest runs plugins in a real Kong Gateway, by the bridge and by
// Kong's own way to plugin servers. It needs the command kong on PATH.
package kongtest
