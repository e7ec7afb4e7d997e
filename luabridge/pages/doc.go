// Package pages reads the project's own Markdown and runs what stands in it, for
// tests: every command of every page is run by one, or says why it is not.
//
// A comment above a fenced block says what is to be done with it:
//
//	<!-- file: main.go -->       the block is this file, in the folder of the page's reader
//	<!-- run by: DIR TestName --> another test runs the block
//	<!-- not run: REASON -->     nobody does
//	<!-- from: PATH -->          the block is quoted from a file, which lies at PATH from the page
//
// A block of the language sh is a script that has to succeed. One of the language
// console has commands behind "$ ", and below each what it prints, to the letter
// but for numbers.
package pages
