// Package differential holds the test that the server's savings change nothing:
// thousands of random handlers run with each of them on and off, and what the
// plugin sees, what the upstream and the client get and what stands in the
// error log have to be the same.
//
//	go test ./luabridge/differential -programs 100000 -seed 7
//
// A program that differs is printed, cut down to the steps that it takes.
package differential
