// Package confine takes rights away from a process, as a container or a unit of
// systemd's does, for tests of what a plugin server does without.
package confine
