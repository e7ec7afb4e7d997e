// Package compat compares the PDK with github.com/Kong/go-pdk v0.11.0, symbol by
// symbol. It is a module of its own, so that nobody's plugin requires go-pdk.
package compat
