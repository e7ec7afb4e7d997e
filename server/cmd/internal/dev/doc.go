// Package dev runs a plugin while it is written: it builds the plugin's server,
// starts it, and does both again whenever a file is saved. The new server takes
// the socket over from the old one as an upgrade in production does, so that no
// request fails; a program that does not build, or does not start, changes nothing.
package dev
