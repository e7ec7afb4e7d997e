// Package schema makes Kong's schema of a plugin from its Go config struct: the
// types from the fields, the defaults from what the constructor gives, and the
// rest from tags. SCHEMA.md beside package server describes the tags for
// authors of plugins.
//
// Nothing is left out in silence. What Kong has no declaration for, and a tag
// that makes no sense, is an error that names the field; all are reported at
// once, joined.
package schema
