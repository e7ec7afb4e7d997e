// Package scaffold writes the source of a new plugin: a module that builds, passes
// its test and can be installed as it is. The files are templates in the folder
// template, which are part of the command.
package scaffold
