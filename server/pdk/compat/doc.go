// Package compat compares the PDK with github.com/Kong/go-pdk v0.11.0, symbol by
// symbol, and ports the plugins in the folder plugins, which are written against
// go-pdk, as the guide for plugin authors says. It is a module of its own, so that
// nobody's plugin requires go-pdk.
package compat
