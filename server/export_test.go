package server

// Resting counts the sessions whose watchdog sleeps.
func (s *Server) Resting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		if session.idle.Load() {
			n++
		}
	}
	return n
}

// The stream's format, for the worker's end.
var (
	AppendFrame = appendFrame
	ReadFrame   = readFrame
)

// What long messages go through.
var TakeLong = takeLong
