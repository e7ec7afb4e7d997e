package bench

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed pingpong.c
var pingPongSource []byte

//go:embed limits.c
var limitsSource []byte

// BuildPingPong compiles pingpong.c into dir and gives the path of the
// program.
func BuildPingPong(dir string) (string, error) { return compile(dir, "pingpong", pingPongSource) }

// BuildLimits compiles limits.c into dir and gives the path of the program.
func BuildLimits(dir string) (string, error) { return compile(dir, "limits", limitsSource) }

func compile(dir, name string, text []byte) (string, error) {
	source, program := filepath.Join(dir, name+".c"), filepath.Join(dir, name)
	if err := os.WriteFile(source, text, 0o600); err != nil {
		return "", fmt.Errorf("write %s.c: %w", name, err)
	}
	out, err := exec.Command("cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program, source).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile %s.c: %w: %s", name, err, out)
	}
	return program, nil
}
