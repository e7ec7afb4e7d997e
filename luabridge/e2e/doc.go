// Package e2e holds the tests that send real requests through nginx, the
// bridge, the rings and a Go plugin, and look at what every side sees when
// something goes wrong.
package e2e
