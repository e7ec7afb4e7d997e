package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The other side of a figure is this binary again, at the top of the work tree.
func TestMain(m *testing.M) {
	if part := os.Getenv(partEnv); part != "" {
		if err := play(part); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := os.Chdir(filepath.Join("..", "..")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestSizes(t *testing.T) {
	lengths, err := parseSizes("16,65536")
	require.NoError(t, err)
	require.Equal(t, []int{16, 65536}, lengths)
	for _, text := range []string{"", "16,", "0", "-1", "x", "131069"} {
		_, err := parseSizes(text)
		require.Error(t, err, text)
	}
}

func TestEachFigure(t *testing.T) {
	cpus, err := twoCPUs()
	if err != nil {
		t.Skip(err)
	}
	_, noLua := exec.LookPath("luajit")
	*trips, *frames = minimum, minimum
	b, err := prepare()
	require.NoError(t, err)
	require.Equal(t, cpus, b.cpus)
	t.Cleanup(func() { require.NoError(t, b.close()) })
	figures := list([]int{16, 65536}, true)
	require.Len(t, figures, 20)
	for _, f := range figures {
		if f.lua && noLua != nil {
			continue
		}
		ns, err := b.pair(f)
		require.NoError(t, err, f.Name)
		require.Positive(t, ns, f.Name)
	}
}

// A side that fails ends the other one too.
func TestFailedSide(t *testing.T) {
	b, err := prepare()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { require.NoError(t, b.close()) })
	for _, f := range []figure{
		{first: "ask", second: "no such part", steps: minimum, Size: 16},
		{first: "no such part", second: "answer", steps: minimum, Size: 16},
	} {
		_, err := b.pair(&f)
		require.Error(t, err)
	}
}

func TestSummary(t *testing.T) {
	f := figure{Way: oneWay, Size: 1000, ns: []float64{100, 300, 200}}
	f.summarize([]float64{100, 100, 400})
	require.Equal(t, []float64{200, 100, 1, 5000}, []float64{f.Median, f.Least, f.ToC, f.Rate})
}

func TestPieces(t *testing.T) {
	var p pieces
	p.start(10, 3)
	for i := range 10 {
		p.step(i)
	}
	require.Len(t, p.ns, 2, "the first is for warming up, the last is not whole")
}
