// Package conform asks each method of the PDK the same questions twice: from a
// plugin in Go, and from a plugin in Lua on the same Kong, or host, and compares
// the answers, the response to the client and the request to the service.
//
// The suite knows nothing of the place that it runs at but its URL and a file
// that both plugins write to; so it runs wherever the two plugins are
// configured, over any carrier. See [Place] for what a place has to bring.
package conform
