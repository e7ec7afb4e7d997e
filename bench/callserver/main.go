// Command callserver is the plugin server of the benchmarks: see the package served.
package main

import (
	"log"
	"os"

	"github.com/kongring/kongring/bench/served"
)

func main() {
	if err := served.Main(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}
