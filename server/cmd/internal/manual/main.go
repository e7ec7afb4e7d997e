// Command manual writes the manual page of the command kongring, for man: what
// the --help of each of its commands says.
package main

import (
	"fmt"
	"os"

	"github.com/kongring/kongring/server/cmd/internal/root"
)

func main() {
	if _, err := os.Stdout.WriteString(page(root.New())); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}
