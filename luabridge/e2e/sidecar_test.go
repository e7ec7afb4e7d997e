package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server"
)

// sidecar is the plugin server's container of server/containers/kong.yaml.
type sidecar struct {
	Args         []string
	StartupProbe struct {
		Exec struct{ Command []string }
	} `yaml:"startupProbe"`
	SecurityContext struct {
		RunAsUser int `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

func sidecarOfManifest(t *testing.T) sidecar {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(build.Root, "server", "containers", "kong.yaml"))
	require.NoError(t, err)
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var object struct {
			Kind string
			Spec struct {
				Template struct {
					Spec struct {
						InitContainers []sidecar `yaml:"initContainers"`
					}
				}
			}
		}
		err := d.Decode(&object)
		require.NotErrorIs(t, err, io.EOF, "no sidecar")
		if object.Kind == "Deployment" {
			require.NoError(t, err)
			require.Len(t, object.Spec.Template.Spec.InitContainers, 1)
			return object.Spec.Template.Spec.InitContainers[0]
		}
	}
}

// pod is a plugin server in namespaces of its own, as the sidecar in a pod is,
// and an nginx with the bridge outside of them. They share the folder of the
// socket.
type pod struct {
	*bed
	sidecar
	image  string // what the plugin server sees as /
	shared string // what it sees as the folder of its socket
	socket string // from outside
	server *exec.Cmd
	log    *os.File
}

func newPod(t *testing.T) *pod {
	t.Helper()
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	t.Cleanup(cancel)
	dir := shortDir(t)
	p := &pod{
		bed:     &bed{Bed: &testbed.Bed{Client: &http.Client{}}, t: t, ctx: ctx},
		sidecar: sidecarOfManifest(t),
		image:   filepath.Join(dir, "image"), shared: filepath.Join(dir, "pod"),
	}
	require.NoError(t, os.Chmod(dir, 0o755))
	// Kong is nobody here.
	i := slices.Index(p.Args, "-allow-uid") + 1
	require.NotZero(t, i)
	p.Args[i] = fmt.Sprint(nobody)
	i = slices.Index(p.Args, "-socket") + 1
	p.socket = filepath.Join(p.shared, filepath.Base(p.Args[i]))
	require.Len(t, p.VolumeMounts, 1)
	require.Equal(t, filepath.Dir(p.Args[i]), p.VolumeMounts[0].MountPath)

	p.makeImage()
	// As an emptyDir is of a pod with an fsGroup, which is nogroup here.
	require.NoError(t, os.Mkdir(p.shared, 0o777))
	require.NoError(t, os.Chown(p.shared, 0, nogroup))
	require.NoError(t, os.Chmod(p.shared, 0o777|os.ModeSetgid))
	var err error
	p.log, err = os.Create(filepath.Join(dir, "server.log"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.log.Close() })
	p.startKong(dir)
	return p
}

// makeImage makes what the plugin server's image has.
func (p *pod) makeImage() {
	for _, d := range []string{"bin", "proc", p.VolumeMounts[0].MountPath} {
		require.NoError(p.t, os.MkdirAll(filepath.Join(p.image, d), 0o755))
	}
	cmd := exec.CommandContext(p.ctx, "go", "build", "-o", p.image+"/bin/", "./server/examples/cmd/hello", "./server/cmd/kongring")
	cmd.Dir = build.Root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(p.t, err, "%s", out)
}

// startKong starts nginx, whose workers are nobody's.
func (p *pod) startKong(dir string) {
	lua, config := filepath.Join(dir, "lua"), filepath.Join(dir, "kong.json")
	require.NoError(p.t, os.CopyFS(filepath.Join(lua, "kongring"), os.DirFS(filepath.Join(build.LuaPath(), "kongring"))))
	out, err := exec.CommandContext(p.ctx, p.image+"/bin/hello", "-socket", p.socket, "-install", lua).CombinedOutput()
	require.NoError(p.t, err, "%s", out)
	text := `{"plugins": ["hello"], "routes": [{"name": "r", "paths": ["/"], "plugins": [{"name": "hello"}]}]}`
	require.NoError(p.t, os.WriteFile(config, []byte(text), 0o644))
	p.Host, err = host.Start(p.ctx, host.Options{
		Prefix: filepath.Join(dir, "nginx"), Config: config, LuaPath: []string{lua}, User: "nobody nogroup",
		Env: map[string]string{"KONGRING_HELPER": build.Library},
	})
	require.NoError(p.t, err)
	p.t.Cleanup(func() {
		p.Client.CloseIdleConnections()
		require.NoError(p.t, p.Host.Stop(context.Background()))
	})
}

// container is the sidecar's, with another command.
func (p *pod) container(command ...string) container {
	return container{
		Image: p.image, Volume: p.shared, MountPath: p.VolumeMounts[0].MountPath,
		UID: p.SecurityContext.RunAsUser, GID: nogroup, Command: command,
	}
}

// probe asks the server as Kubernetes does, or somebody else.
func (p *pod) probe(change func(*container)) error {
	c := p.container(p.StartupProbe.Exec.Command...)
	if change != nil {
		change(&c)
	}
	out, err := contain(p.ctx, c).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// startServer starts the plugin server, the first time or again.
func (p *pod) startServer() {
	p.t.Helper()
	p.server = contain(p.ctx, p.container(append([]string{"/bin/hello"}, p.Args...)...))
	p.server.Stdout, p.server.Stderr = p.log, p.log
	err := p.server.Start()
	if errors.Is(err, syscall.EPERM) {
		p.t.Skip("skipped: this machine lets nobody make namespaces: ", err)
	}
	require.NoError(p.t, err)
	running := p.server
	p.t.Cleanup(func() { _ = running.Process.Kill(); _ = running.Wait() })
}

// serverLog is what the plugin servers wrote.
func (p *pod) serverLog() string {
	text, err := os.ReadFile(p.log.Name())
	require.NoError(p.t, err)
	return string(text)
}

// succeeds waits until a request is served by the plugin.
func (p *pod) succeeds() {
	p.t.Helper()
	p.eventually("a request succeeds", func() bool {
		r, err := p.try("/x", nil, "x-name", "you")
		require.NoError(p.t, err)
		if strings.Contains(p.serverLog(), notContained) {
			p.t.Skip("skipped: this machine lets nobody make a container's mounts: ", p.serverLog())
		}
		return r.status == 200 && r.header.Get("x-hello-from-go") == "hello, you, at /x"
	})
}

// A plugin server in a container of its own and Kong share the folder of the
// socket, and no more: not processes, network, names of memory, nor files.
func TestSidecarSharesTheSocketAlone(t *testing.T) {
	p := newPod(t)
	p.startServer()
	p.succeeds()
	for _, kind := range []string{"pid", "mnt", "net", "ipc", "uts"} {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		require.NoError(t, err)
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.server.Process.Pid, kind))
		require.NoError(t, err)
		require.NotEqual(t, own, its, kind)
	}
	stats, err := server.Inspect(p.socket, patience)
	require.NoError(t, err)
	require.Equal(t, 1, stats.PID, "its own process is the first one that it sees")
	require.Len(t, stats.Sessions, 1)
	require.Equal(t, "ring", stats.Sessions[0].Carrier)
	require.Zero(t, stats.Sessions[0].PID, "Linux has no number there for a process of another namespace")
	require.Zero(t, stats.Refused, p.serverLog())
	uid := fmt.Sprint(p.SecurityContext.RunAsUser)
	require.Equal(t, strings.Join([]string{uid, uid, uid, uid}, "\t"), statusOf(t, p.server.Process.Pid, "Uid"))
	require.Equal(t, strings.Repeat("0", 16), statusOf(t, p.server.Process.Pid, "CapBnd"))

	require.NoError(t, p.probe(nil))
	// Kong's user, to whom the folder is read-only, may connect; others may not.
	kong := func(c *container) { c.UID, c.ReadOnly = nobody, true }
	require.NoError(t, p.probe(kong))
	require.ErrorContains(t, p.probe(func(c *container) { kong(c); c.UID++ }), "may not attach")
	require.ErrorContains(t, p.probe(func(c *container) { kong(c); c.GID++ }), "permission denied")

	// The server is killed, and Kubernetes starts it again: its socket is there
	// still.
	before := stats.Sessions[0]
	require.NoError(t, p.server.Process.Kill())
	_ = p.server.Wait()
	require.FileExists(t, p.socket)
	r, err := p.try("/x", nil)
	require.NoError(t, err)
	require.Equal(t, 503, r.status)
	require.ErrorContains(t, p.probe(nil), "no plugin server listens")
	p.startServer()
	p.succeeds()

	// A worker is killed: the server notices, and takes the next one.
	workers, err := p.Host.Workers()
	require.NoError(t, err)
	require.Len(t, workers, 1)
	stats, err = server.Inspect(p.socket, patience)
	require.NoError(t, err)
	require.Len(t, stats.Sessions, 1)
	require.Equal(t, before.Worker, stats.Sessions[0].Worker)
	old := stats.Sessions[0].Session
	require.NoError(t, syscall.Kill(workers[0], syscall.SIGKILL))
	p.eventually("the session of the dead worker is over, and another one there", func() bool {
		stats, err := server.Inspect(p.socket, patience)
		return err == nil && len(stats.Sessions) == 1 && stats.Sessions[0].Session != old
	})
	p.succeeds()

	// Its first process is told to stop, which Linux leaves to it.
	require.NoError(t, p.server.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.server.Wait(), p.serverLog())
	require.NoFileExists(t, p.socket)
}
