package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
)

// gateway is what runs the plugins: the nginx host, or Kong.
type gateway interface {
	URL() string
	MasterPID() int
	Workers() ([]int, error)
	ErrorLog() (string, error)
	Stop(context.Context) error
}

// stage is all that runs.
type stage struct {
	*testbed.Bed
	gateway gateway
}

// setStage starts everything below dir.
func setStage(ctx context.Context, onKong bool, build testbed.Build, dir string) (stage, error) {
	bed, err := testbed.Start(ctx, testbed.Options{
		Build: build, Dir: dir, Config: hostConfig, NoHost: onKong,
		Host: host.Options{Workers: workers, LogLevel: "info"},
	})
	if err != nil {
		return stage{}, err
	}
	if !onKong {
		return stage{bed, bed.Host}, nil
	}
	kong, err := kongrun.Start(ctx, kongrun.Options{
		Dir: dir, Workers: workers, Config: kongConfig(bed.Upstream.URL), Plugins: plugins,
		LuaPath: []string{bed.LuaPath(), build.LuaPath()},
		Env:     map[string]string{"KONGRING_HELPER": build.Library},
	})
	if err != nil {
		return stage{}, errors.Join(err, bed.Stop(ctx))
	}
	return stage{bed, kong}, nil
}

// leaveNothing ends all processes and looks that they are gone.
func (s stage) leaveNothing(ctx context.Context) error {
	pids := []int{s.Server.PID(), s.gateway.MasterPID()}
	if more, err := s.gateway.Workers(); err == nil {
		pids = append(pids, more...)
	}
	s.Client.CloseIdleConnections()
	if err := errors.Join(s.gateway.Stop(ctx), s.Stop(ctx)); err != nil {
		return err
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			return fmt.Errorf("process %d is left behind", pid)
		}
	}
	return nil
}
