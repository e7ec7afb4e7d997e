// Command kongring installs Go plugins into a Kong, looks for what is wrong with
// a machine and its Kong, and shows what the plugin servers do. For who writes
// plugins it makes a new one, and runs it while it is written; and it measures.
// README.md beside it shows each of its commands.
package main

import (
	"os"

	"github.com/kongring/kongring/server/cmd/internal/root"
)

func main() { os.Exit(root.Main(os.Args[1:], os.Stdout, os.Stderr)) }
