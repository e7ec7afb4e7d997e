//go:build deps

// This file is never compiled. It keeps in go.mod and go.sum what the packages
// need that are compared: both servers in one program would be too many, for
// each has a flag -dump.

package compat

import (
	_ "github.com/Kong/go-pdk"
	_ "github.com/Kong/go-pdk/server"
	_ "github.com/Kong/go-pdk/test"
	_ "github.com/kongring/kongring/server"
)
