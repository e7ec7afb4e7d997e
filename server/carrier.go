package server

import (
	"errors"
	"fmt"
)

// Carrier is what moves the frames of a session between worker and server.
type Carrier int

// The carriers.
const (
	// CarrierAuto is the rings where the system grants shared memory, else the
	// socket, with one warning that says why.
	CarrierAuto Carrier = iota
	// CarrierRing is rings in shared memory.
	CarrierRing
	// CarrierSocket is the control connection.
	CarrierSocket
)

var carrierNames = [...]string{CarrierAuto: "auto", CarrierRing: "ring", CarrierSocket: "socket"}

// String is the name that the flag -carrier has for it.
func (c Carrier) String() string {
	if c < 0 || int(c) >= len(carrierNames) {
		return fmt.Sprintf("carrier %d", int(c))
	}
	return carrierNames[c]
}

// errNoMemory is wrapped by what refuses a worker shared memory.
var errNoMemory = errors.New("no shared memory")

// makeRings makes the rings of a session. The error wraps errNoMemory where the
// socket can do without what is missing.
func (s *Server) makeRings(session uint32, bySocket bool) (*rings, error) {
	if bySocket {
		return newPrivateRings(session, s.options.ringCapacity)
	}
	if s.options.carrier == CarrierSocket {
		return nil, fmt.Errorf("%w: the plugin server was told to use the socket", errNoMemory)
	}
	rings, err := newRings(session, s.options.ringCapacity)
	if err != nil {
		return nil, s.noteMemory(fmt.Errorf("%w: %w", errNoMemory, err))
	}
	return rings, s.noteMemory(nil)
}

// noteMemory warns when shared memory is refused from now on, and gives err
// back.
func (s *Server) noteMemory(err error) error {
	if was := s.memoryRefused.Swap(err != nil); err != nil && !was {
		s.options.logger.Warn("shared memory is refused: workers attach by the socket", "reason", err)
	}
	return err
}

// probeMemory makes a first segment: where the system refuses shared memory, the
// operator hears of it at the start.
func (s *Server) probeMemory() {
	if s.options.carrier == CarrierSocket {
		return
	}
	if probe, err := s.makeRings(0, false); err == nil {
		probe.shutDown()
		_ = probe.close()
	}
}
