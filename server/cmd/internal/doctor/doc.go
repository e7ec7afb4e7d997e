// Package doctor looks for what is wrong with a machine and its Kong: what keeps
// plugins from working, what makes them slow, and what to do about it.
//
// It sees what a process sees that is started where it is: in a container, and
// as a user, like Kong's and the plugin servers' own.
package doctor
