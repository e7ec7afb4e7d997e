// Package debian has the files of the Debian package (make deb) and its tests:
// build makes it, with dpkg-deb.
package debian
