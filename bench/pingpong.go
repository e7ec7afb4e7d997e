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

// BuildPingPong compiles pingpong.c into dir and gives the path of the
// program.
func BuildPingPong(dir string) (string, error) {
	source, program := filepath.Join(dir, "pingpong.c"), filepath.Join(dir, "pingpong")
	if err := os.WriteFile(source, pingPongSource, 0o600); err != nil {
		return "", fmt.Errorf("write pingpong.c: %w", err)
	}
	out, err := exec.Command("cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program, source).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile pingpong.c: %w: %s", err, out)
	}
	return program, nil
}
